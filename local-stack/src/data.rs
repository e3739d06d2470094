use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use auth_service::cli::{env_lines, kept};
use shared_service::Settings;

/// Fills in what a first start needs: secrets, database files in `dir`, demo users, loopback addresses.
///
/// # Errors
/// `dir` cannot be written; the message names the path.
pub(crate) fn fill(settings: &mut Settings, dir: &Path) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(named)?;
    for line in kept(&dir.join("secrets.env"), env_lines)?.lines() {
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
    settings.fill("PUBLIC_URL", "http://localhost:3000");
    // All callers on a developer's machine share one address.
    settings.fill("IP_RATE_LIMIT", "0");
    settings.fill("ACCOUNT_FAILURE_LIMIT", "0");
    Ok(())
}

fn database(dir: &Path, file: &str) -> String {
    // Characters with a meaning in URLs are escaped.
    let path = dir.join(file).display().to_string();
    let path = path.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite://{path}?mode=rwc")
}
