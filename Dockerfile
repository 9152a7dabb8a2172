# One compiled binary and the five files of glibc that it needs: no shell, no package manager, not root.
#   docker build -t echo-server:dev .
#   docker buildx build --platform linux/amd64,linux/arm64 .    compiles for both where it runs, with no emulation

# The architecture of the image; nothing in it is run.
FROM gcr.io/distroless/base-nossl-debian12:nonroot AS glibc

# The architecture of the builder.
FROM --platform=$BUILDPLATFORM oven/bun:1.4.5-slim AS build
WORKDIR /build
# The install is a layer of its own: it is made again only when the lock file changes.
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile --production --ignore-scripts
COPY tsconfig.json ./
COPY scripts/compile scripts/
COPY src src
ARG BUILDARCH TARGETARCH BUILD_COMMIT
RUN if [ "$TARGETARCH" = "$BUILDARCH" ]; then scripts/compile; else scripts/compile "linux-$TARGETARCH"; fi
COPY scripts/minimal-root scripts/
COPY --from=glibc / /glibc
RUN scripts/minimal-root /glibc /root-of-image

FROM scratch
LABEL org.opencontainers.image.title="echo-server" \
      org.opencontainers.image.description="An exact, bounded, observable TCP and UDP echo server for Kubernetes networks" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /root-of-image /
COPY --from=build --chmod=0555 /build/dist/echo-server /usr/local/bin/echo-server
ENV PATH=/usr/local/bin
# By number: a kubelet that is told runAsNonRoot cannot tell what a name is, and there is no list of users here.
USER 65532:65532
# TCP, UDP, the server's admin port; that of `mesh`.
EXPOSE 1234/tcp 5678/udp 8080/tcp 8082/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s CMD ["echo-server", "health"]
ENTRYPOINT ["echo-server"]
CMD ["serve"]
