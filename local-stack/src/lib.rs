//! Defaults of `cargo run -p local-stack`: settings, secrets and files that both services need.

/// Secrets and files, made once and kept.
mod data;

use std::io;
use std::path::PathBuf;

use shared_service::{ServerOptions, Settings};

/// The folder of the files.
pub fn data_dir(settings: &mut Settings) -> PathBuf {
    settings.text("DATA_DIR", "./data", "Folder of local-stack's files").into()
}

/// Sets what is not set, and makes missing secrets and files in `DATA_DIR`.
///
/// # Errors
/// `DATA_DIR` cannot be written; the message names it.
pub fn fill(settings: &mut Settings) -> io::Result<()> {
    let dir = data_dir(settings);
    data::fill(settings, &dir)
}

/// The settings of both services; missing secrets and files are made in `DATA_DIR` first.
///
/// # Errors
/// `DATA_DIR` cannot be written; the message names it.
pub fn configs(settings: &mut Settings) -> io::Result<(auth_service::config::Config, books_service::Config)> {
    let has_public_url = settings.is_set("PUBLIC_URL");
    fill(settings)?;
    let mut configs = (auth_service::config::Config::read(settings), books_service::Config::read(settings));
    let [auth, books] = [&configs.0.server, &configs.1.server].map(ServerOptions::local_url);
    if !has_public_url {
        configs.0.stores.mail.public_url = auth.parse().ok();
    }
    // books-service serves the page, which calls auth-service.
    if configs.1.web {
        configs.0.server.allowed_origins.push(books);
        configs.1.auth_public_url.get_or_insert(auth);
    }
    // In one process, books-service has the keys without a request.
    configs.1.access.keys.clone_from(&configs.0.access.keys);
    for server in [&mut configs.0.server, &mut configs.1.server] {
        server.loopback_names_only = true;
        // Both share the memory of one process.
        server.max_connections /= 2;
    }
    Ok(configs)
}
