//! Defaults of `cargo run --bin local-stack`: settings, secrets and files that both services need.

use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use auth_service::cli::{env_lines, kept};
use shared_service::{ServerOptions, Settings};

/// The folder of local-stack's files.
pub fn data_dir(settings: &mut Settings) -> PathBuf {
    settings.text("DATA_DIR", "./data", "Folder of local-stack's files").into()
}

/// Fills in missing settings for a first start: secrets and databases in `DATA_DIR`, demo users, loopback addresses.
///
/// # Errors
/// `DATA_DIR` cannot be written; the message names it.
pub fn fill(settings: &mut Settings) -> io::Result<()> {
    let dir = data_dir(settings);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(named)?;
    for line in kept(&dir.join("secrets.env"), env_lines)?.lines() {
        if let Some((name, secret)) = line.split_once('=') {
            settings.fill(name, secret);
        }
    }
    settings.fill("AUTH_DATABASE_URL", database(&dir, "auth.db"));
    settings.fill("BOOKS_DATABASE_URL", database(&dir, "books.db"));
    settings.fill("DEMO_DATA", "true");
    // Loopback only, because the demo passwords are published.
    settings.fill("AUTH_ADDR", "127.0.0.1:3000");
    settings.fill("BOOKS_ADDR", "127.0.0.1:4000");
    let scheme = if settings.is_set("TLS_CERT") { "https" } else { "http" };
    let addr = settings.text("AUTH_ADDR", "0.0.0.0:3000", "Address and port of the service");
    let port = addr.parse().map_or(3000, |addr: SocketAddr| addr.port());
    settings.fill("PUBLIC_URL", format!("{scheme}://localhost:{port}"));
    // All callers on a developer's machine share one address, and so would share its limits.
    settings.fill("IP_RATE_LIMIT", "0");
    settings.fill("ACCOUNT_FAILURE_LIMIT", "0");
    Ok(())
}

/// The settings of both services; missing secrets and files are made in `DATA_DIR` first.
///
/// # Errors
/// `DATA_DIR` cannot be written; the message names it.
pub fn configs(settings: &mut Settings) -> io::Result<(auth_service::config::Config, books_service::Config)> {
    fill(settings)?;
    let mut configs = (auth_service::config::Config::read(settings), books_service::Config::read(settings));
    let [auth, books] = [&configs.0.server, &configs.1.server].map(ServerOptions::local_url);
    // books-service serves the page, which calls auth-service.
    if configs.1.web {
        configs.0.server.allowed_origins.push(books);
        configs.1.auth_public_url.get_or_insert(auth);
    }
    // In one process, books-service gets the keys without a request.
    configs.1.access.keys.clone_from(&configs.0.access.keys);
    for server in [&mut configs.0.server, &mut configs.1.server] {
        server.loopback_names_only = true;
        // Both servers share the memory of one process.
        server.max_connections /= 2;
    }
    Ok(configs)
}

fn database(dir: &Path, file: &str) -> String {
    // Characters with a meaning in URLs are escaped.
    let path = dir.join(file).display().to_string();
    let path = path.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite://{path}?mode=rwc")
}
