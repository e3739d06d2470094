use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use shared_http::Settings;

/// Fills in what a first start lacks: secrets, database files under `dir`, the demo people, addresses of this machine alone.
///
/// # Errors
/// `dir` cannot be written; the text names the path.
pub(crate) fn fill(settings: &mut Settings, dir: &Path) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(named)?;
    for line in secrets(&dir.join("secrets.env")).map_err(named)?.lines() {
        if let Some((name, secret)) = line.split_once('=') {
            settings.fill(name, secret);
        }
    }
    settings.fill("AUTH_DATABASE_URL", database(dir, "auth.db"));
    settings.fill("BOOKS_DATABASE_URL", database(dir, "books.db"));
    settings.fill("DEMO_DATA", "true");
    // The demo passwords are published.
    settings.fill("AUTH_ADDR", "127.0.0.1:3000");
    settings.fill("BOOKS_ADDR", "127.0.0.1:4000");
    // Everybody who tries this out, and every test that runs against it, has one address.
    settings.fill("IP_RATE_LIMIT", "0");
    settings.fill("ACCOUNT_FAILURE_LIMIT", "0");
    Ok(())
}

fn database(dir: &Path, file: &str) -> String {
    // What has a meaning in a URL is written as the URL standard writes it.
    let path = dir.join(file).display().to_string();
    let path = path.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite://{path}?mode=rwc")
}

/// The secrets of this folder, made once, readable by their owner alone. They appear whole or not at all.
fn secrets(file: &Path) -> io::Result<String> {
    if !file.exists() {
        let draft = file.with_extension("draft");
        let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        new.write_all(auth_service::cli::env_lines()?.as_bytes())?;
        new.sync_all()?;
        fs::rename(&draft, file)?;
    }
    fs::read_to_string(file)
}
