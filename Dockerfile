# A node of entrepot: the pinned Node.js comes with the dependencies, so the last stage needs only a C library.
ARG BUILD_IMAGE=node:24-bookworm-slim
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Headers of Node.js are only for building add-ons, of which there are none.
RUN npm ci --omit=dev --no-audit --no-fund && rm -rf node_modules/node-linux-*/include /root/.npm
COPY LICENSE tsconfig.json ./
COPY topologies ./topologies
COPY src ./src

FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 entrepot \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin entrepot \
 && install -d -o entrepot -g entrepot -m 0700 /data
COPY --from=build /app /app
ENV PATH=/app/node_modules/.bin:$PATH \
    NODE_ENV=production \
    ENTREPOT_DATA=/data \
    ENTREPOT_LISTEN=0.0.0.0:5000 \
    ENTREPOT_MESH_LISTEN=/ip4/0.0.0.0/tcp/4001
USER entrepot
VOLUME /data
EXPOSE 5000 4001
# ENTREPOT_LISTEN decides the port; a node that drains or has not opened its index yet is not ready.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.ENTREPOT_LISTEN.split(':').pop()}/readyz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/src/cli/main.ts"]
CMD ["serve", "--topology", "/etc/entrepot/topology.yaml"]
