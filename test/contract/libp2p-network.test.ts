import { createLibp2pRig } from '../helpers/libp2p-rig.ts'
import { networkContract } from './network.contract.ts'

networkContract('libp2p', async () => createLibp2pRig())
