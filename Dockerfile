# A node of entrepot. The pinned Node.js comes with the dependencies: the last stage adds only libatomic to Debian.
#   docker build -t entrepot .
#   docker run -e ENTREPOT_NODE=hub -v ./topology.yaml:/etc/entrepot/topology.yaml:ro -v hub:/data \
#     -p 5000:5000 -p 4001:4001 entrepot
ARG BUILD_IMAGE=node:24-bookworm-slim
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No dependency runs a script when it is installed. What goes: headers and manuals of Node.js, types, sources and
# source maps, manuals, native code for other platforms and other runtimes. Licences stay.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && rm -rf node_modules/node-linux-*/include node_modules/node-linux-*/share \
 && find node_modules -type f '(' -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.map' -o -name '*.bare' \
      -o -name '*.md' -not -iname 'licen[cs]e*' -not -iname 'notice*' ')' -delete \
 && find node_modules -type d -path '*/prebuilds/*' -not -name 'linux-*' -prune -exec rm -rf '{}' + \
 && find node_modules -type d -empty -delete
COPY LICENSE ./
COPY topologies ./topologies
COPY src ./src

FROM ${BASE_IMAGE}
# Node.js needs libatomic, which a slim Debian lacks. The user has a fixed number, so that a volume keeps its owner.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libatomic1 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
 && groupadd --gid 10001 entrepot \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin entrepot \
 && install -d -o entrepot -g entrepot -m 0700 /data
COPY --from=build /app /app
ENV PATH=/app/node_modules/.bin:$PATH \
    NODE_ENV=production \
    ENTREPOT_TOPOLOGY=/etc/entrepot/topology.yaml \
    ENTREPOT_DATA=/data \
    ENTREPOT_LISTEN=0.0.0.0:5000 \
    ENTREPOT_MESH_LISTEN=/ip4/0.0.0.0/tcp/4001
USER entrepot
WORKDIR /data
VOLUME /data
EXPOSE 5000 4001
# ENTREPOT_LISTEN decides the port; a node that drains or has not opened its index yet is not ready.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.ENTREPOT_LISTEN.split(':').pop()}/readyz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/src/cli/main.ts"]
CMD ["serve"]
