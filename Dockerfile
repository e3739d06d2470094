# One image per service: a static binary, a data folder, nothing else.
#   docker build --target auth-service --build-arg REVISION=$(git rev-parse HEAD) .
FROM rust:1.95-slim-trixie AS builder
WORKDIR /src
# The dependencies first, in a layer that a change of our code leaves alone: every manifest, and sources that are empty.
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
# For the C library of the image's own machine, and linked into the program; relocations in the short form save 0.6 MB.
RUN printf '%s\n' 'set -eu; export RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs"' \
      'exec cargo build --release --locked --bins -p auth-service -p books-service \
         --target "$(rustc -vV | sed -n "s/^host: //p")"' >/build; \
    for crate in bcrypt-lanes shared-claims shared-service auth-service books-service local-stack bench examples/orders-axum examples/orders-service; do \
      mkdir $crate/src; echo 'fn main() {}' >$crate/src/main.rs; touch $crate/src/lib.rs; \
    done
RUN --mount=type=cache,target=/usr/local/cargo/registry sh /build
COPY . .
# Cargo trusts times: what was copied must look newer than what was built.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    set -eu; \
    find . -path ./target -prune -o -type f -exec touch {} +; \
    sh /build; \
    mkdir /out; \
    cp target/*/release/auth-service target/*/release/books-service /out/; \
    mkdir -p /folders/data /folders/secrets/access /folders/secrets/refresh; \
    chmod 700 /folders/data /folders/secrets/access /folders/secrets/refresh

# What both share. A volume takes over the owner of the folder it is mounted on, so the folders are here.
FROM scratch AS base
COPY --from=builder --chown=10001:10001 /folders/ /
# Whom to trust where a database, a Redis or auth-service is spoken to over TLS; SSL_CERT_FILE names others.
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
USER 10001:10001
WORKDIR /data
# Where SQLite spills what does not fit into memory: the one place that can be written.
ENV TMPDIR=/data
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

FROM base AS auth-service
LABEL org.opencontainers.image.title="auth-service" \
      org.opencontainers.image.description="Registers people, logs them in, keeps their sessions, signs their tokens."
COPY --from=builder /out/auth-service /auth-service
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/auth-service", "healthcheck"]
ENTRYPOINT ["/auth-service"]

FROM base AS books-service
LABEL org.opencontainers.image.title="books-service" \
      org.opencontainers.image.description="A library catalogue that members read and admins change."
COPY --from=builder /out/books-service /books-service
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/books-service", "healthcheck"]
ENTRYPOINT ["/books-service"]

# What stands before several instances: see docker-compose.scale.yml. Its configuration is mounted.
FROM debian:trixie-slim AS proxy
RUN apt-get update && \
    apt-get install -y --no-install-recommends nginx && \
    rm -rf /var/lib/apt/lists/*
LABEL org.opencontainers.image.title="proxy" \
      org.opencontainers.image.description="nginx, as Debian has it, without a configuration."
USER www-data
EXPOSE 3000 4000
# Finishes what it is asked before it ends, as the services do at SIGTERM.
STOPSIGNAL SIGQUIT
ENTRYPOINT ["nginx", "-e", "stderr", "-g", "daemon off;"]
