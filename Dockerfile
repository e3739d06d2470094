# One image per service: a static binary, a data folder, nothing else.
#   docker build --target auth-service --build-arg REVISION=$(git rev-parse HEAD) .
FROM rust:1.95-slim-trixie AS builder
WORKDIR /src
COPY . .
# The target folder outlives the build, and cargo trusts times: what was copied must look newer than what was built.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target,sharing=locked \
    set -eu; \
    host=$(rustc -vV | sed -n 's/^host: //p'); \
    find . -type f -exec touch {} +; \
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --bins \
      -p auth-service -p books-service --target "$host" --target-dir "/target/$host"; \
    mkdir /out; \
    cp "/target/$host/$host/release/auth-service" "/target/$host/$host/release/books-service" /out/; \
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
