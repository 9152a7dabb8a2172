# One compiled binary on glibc alone: no shell, no package manager, not root.
#   docker build -t echo-server:dev .
FROM oven/bun:1.4.5-slim AS build
WORKDIR /build
# The install is a layer of its own: it is made again only when the lock file changes.
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile --production --ignore-scripts
COPY tsconfig.json ./
COPY src src
# The worker is an entry point of its own, and `--root` puts it where the main thread looks for it: beside itself. No
# source map: the binary then depends on nothing but its sources, and two builds of them have the same hash. Split, what
# catches signals is read by itself, before the rest: 12 ms after the start instead of 58.
RUN bun build --compile --minify --splitting --sourcemap=none --root=src/engine src/main.ts src/engine/worker.ts --outfile dist/echo-server

# The compiled binary needs libc, libpthread, libdl and libm, which `static` does not have; `base` has OpenSSL, too.
FROM gcr.io/distroless/base-nossl-debian12:nonroot
LABEL org.opencontainers.image.title="echo-server" \
      org.opencontainers.image.description="An exact, bounded, observable TCP and UDP echo server for Kubernetes networks" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build --chmod=0555 /build/dist/echo-server /usr/local/bin/echo-server
# By number: a kubelet that is told runAsNonRoot cannot tell what a name is.
USER 65532:65532
EXPOSE 1234/tcp 5678/udp 8080/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s CMD ["echo-server", "health"]
ENTRYPOINT ["echo-server"]
CMD ["serve"]
