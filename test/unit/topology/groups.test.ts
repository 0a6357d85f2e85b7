import { describe, expect, test } from 'vitest'
import { topicsOf } from '../../../src/topology/groups.ts'
import type { NodeName } from '../../../src/topology/topology.ts'
import { topologyWith } from '../../helpers/topology-with.ts'
