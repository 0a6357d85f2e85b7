/** What to type next, ready to paste: registries on loopback speak plain HTTP, which each client is told in its own way. */

export interface NextStepsFacts {
  /** Base URLs of the node to push to, and of one to pull from. */
  readonly pushUrl: string
  readonly pullUrl: string
  readonly repository: string
  readonly tag: string
}

export function nextSteps({ pushUrl, pullUrl, repository, tag }: NextStepsFacts): string {
  const [push, pull] = [pushUrl, pullUrl].map((url) => `${new URL(url).host}/${repository}`)
  return `
Now by hand. Push at the writer, pull at the edge:

  docker pull ${pull}:${tag}
  docker run --rm ${pull}:${tag}
  docker tag ${pull}:${tag} ${push}:v1.0.1
  docker push ${push}:v1.0.1
  npx entrepot converged --wait --url ${pullUrl}
  docker pull ${pull}:v1.0.1

  podman pull --tls-verify=false ${pull}:${tag}
  podman push --tls-verify=false ${pull}:${tag} ${push}:v1.0.2

  skopeo copy --src-tls-verify=false --dest-tls-verify=false \\
    docker://${pull}:${tag} docker://${push}:v1.0.3
  skopeo list-tags --tls-verify=false docker://${pull}

Look at a node:

  npx entrepot status --url ${pullUrl}
  npx entrepot records ${repository} --url ${pullUrl}
  npx entrepot jobs --url ${pullUrl}`
}
