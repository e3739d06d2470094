# One image per service. Each contains a static binary, a data folder and CA certificates, nothing else.
#   docker build --target auth-service --build-arg REVISION=$(git rev-parse HEAD) .
FROM rust:1.95-slim-trixie AS dependencies
WORKDIR /src
# The dependencies are built first, from all manifests and empty sources. Changes of our code do not invalidate this layer.
COPY Cargo.toml Cargo.lock ./
COPY .cargo/ .cargo/
COPY shared-service/swagger-ui/ shared-service/swagger-ui/
COPY bcrypt-lanes/Cargo.toml bcrypt-lanes/
COPY shared-claims/Cargo.toml shared-claims/
COPY shared-service/Cargo.toml shared-service/
COPY auth-service/Cargo.toml auth-service/
COPY books-service/Cargo.toml books-service/
COPY local-stack/Cargo.toml local-stack/
COPY bench/Cargo.toml bench/
COPY examples/orders-axum/Cargo.toml examples/orders-axum/
COPY examples/orders-service/Cargo.toml examples/orders-service/
# Builds both services after a touch of the named folders: cargo compares modification times, and copied sources must be
# newer than the artifacts of the empty ones. The target is the builder's own architecture, with glibc linked statically.
# Packed relative relocations save 0.6 MB.
RUN printf '%s\n' 'set -eu; export RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs"' \
      'find "$@" -type f -exec touch {} +' \
      'exec cargo build --release --locked --bins -p auth-service -p books-service \
         --target "$(rustc -vV | sed -n "s/^host: //p")"' >/build; \
    for crate in bcrypt-lanes shared-claims shared-service auth-service books-service local-stack bench examples/orders-axum examples/orders-service; do \
      mkdir $crate/src; touch $crate/src/lib.rs; \
    done; \
    for service in auth-service books-service; do echo 'fn main() {}' >$service/src/main.rs; done
RUN --mount=type=cache,target=/usr/local/cargo/registry sh /build auth-service books-service

# What both services use. Each service is built without the other: a change in one of them compiles only that one.
FROM dependencies AS shared
COPY bcrypt-lanes/ bcrypt-lanes/
COPY shared-claims/ shared-claims/
COPY shared-service/ shared-service/
RUN --mount=type=cache,target=/usr/local/cargo/registry set -eu; \
    sh /build bcrypt-lanes shared-claims shared-service; \
    mkdir -p /out /folders/data /folders/secrets/access /folders/secrets/refresh; \
    chmod 700 /folders/data /folders/secrets/access /folders/secrets/refresh

FROM shared AS auth-builder
COPY auth-service/ auth-service/
RUN --mount=type=cache,target=/usr/local/cargo/registry sh /build auth-service && cp target/*/release/auth-service /out/

FROM shared AS books-builder
COPY books-service/ books-service/
RUN --mount=type=cache,target=/usr/local/cargo/registry sh /build books-service && cp target/*/release/books-service /out/

# Base image of both services. It has the mount points, because a new volume takes the owner of the folder it is mounted on.
FROM scratch AS base
COPY --from=shared --chown=10001:10001 /folders/ /
# CA certificates for TLS to a database, to Redis and to auth-service. SSL_CERT_FILE names other ones.
COPY --from=shared /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
USER 10001:10001
WORKDIR /data
# SQLite's temporary files, for data that does not fit into memory. /data is the only writable folder.
ENV TMPDIR=/data
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

FROM base AS auth-service
LABEL org.opencontainers.image.title="auth-service" \
      org.opencontainers.image.description="Registers people, logs them in, keeps their sessions, signs their tokens."
COPY --from=auth-builder /out/auth-service /auth-service
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/auth-service", "healthcheck"]
ENTRYPOINT ["/auth-service"]

FROM base AS books-service
LABEL org.opencontainers.image.title="books-service" \
      org.opencontainers.image.description="A library catalogue that members read and admins change."
COPY --from=books-builder /out/books-service /books-service
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/books-service", "healthcheck"]
ENTRYPOINT ["/books-service"]

# Reverse proxy for several instances: see docker-compose.scale.yml, which mounts the configuration.
FROM debian:trixie-slim AS proxy
RUN apt-get update && \
    apt-get install -y --no-install-recommends nginx && \
    rm -rf /var/lib/apt/lists/*
LABEL org.opencontainers.image.title="proxy" \
      org.opencontainers.image.description="nginx, as Debian has it, without a configuration."
USER www-data
EXPOSE 3000 4000
# On SIGQUIT nginx finishes the requests in flight before it exits, as the services do on SIGTERM.
STOPSIGNAL SIGQUIT
ENTRYPOINT ["nginx", "-e", "stderr", "-g", "daemon off;"]
