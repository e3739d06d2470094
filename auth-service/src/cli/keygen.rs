use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use shared_claims::{Secret, SigningKey};
use shared_service::open_trusted;
use uuid::Uuid;

/// Prints [`env_lines`], or writes one secret into each of `files` and says on standard error which are new.
///
/// # Errors
/// The system provides no random bytes, or a file cannot be written; the message names it.
pub fn keygen(files: &[PathBuf]) -> io::Result<()> {
    if files.is_empty() {
        return io::stdout().write_all(env_lines()?.as_bytes());
    }
    files.iter().try_for_each(|file| {
        let done = if file.exists() { "is there already and stays as it is" } else { "holds a fresh secret" };
        let text = kept(file, secret)?;
        Secret::parse(text.strip_suffix('\n').unwrap_or(&text))
            .map_err(|error| io::Error::other(format!("{} {error}", file.display())))?;
        eprintln!("{} {done}", file.display());
        Ok(())
    })
}

/// Makes a private key for `algorithm`: writes it to `file`, unless that holds one already, and prints its kid; without a
/// file, prints the key.
///
/// # Errors
/// The system provides no random bytes, or the file cannot be written or holds something else; the message names it.
pub fn key_file(algorithm: &str, file: Option<&Path>) -> io::Result<()> {
    let make =
        || SigningKey::generate_pem(algorithm).ok_or_else(|| io::Error::other("the system gives no random bytes"));
    let Some(file) = file else { return io::stdout().write_all(make()?.as_bytes()) };
    let wrong = |why: String| io::Error::other(format!("{} {why}", file.display()));
    let key = SigningKey::from_pem(&kept(file, make)?).map_err(|error| wrong(error.to_string()))?;
    match key.public().filter(|key| key.algorithm() == algorithm) {
        Some(key) => writeln!(io::stdout(), "{}", key.key_id()),
        None => Err(wrong(format!("is a key for another algorithm than {algorithm}"))),
    }
}

/// Two lines for `.env`, each with a random secret of 32 bytes in hex, as by `crypto.randomBytes`.
///
/// # Errors
/// The system provides no random bytes.
pub fn env_lines() -> io::Result<String> {
    Ok(format!("ACCESS_TOKEN_SECRET={}\nREFRESH_TOKEN_SECRET={}\n", secret()?, secret()?))
}

/// Returns the content of `file`, which `make` creates if it does not exist. An existing file stays unchanged, and must
/// be owned by this user or root. A new one is readable by its owner only, and is written completely or not at all.
///
/// # Errors
/// The file cannot be read or made, or others can write it; the text names it.
pub fn kept(file: &Path, make: impl FnOnce() -> io::Result<String>) -> io::Result<String> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    if fs::symlink_metadata(file).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        write_new(file, &make()?).map_err(named)?;
    }
    open_trusted(file).and_then(io::read_to_string).map_err(named)
}

/// Of concurrent writers, the first one wins.
fn write_new(file: &Path, text: &str) -> io::Result<()> {
    let draft = file.with_file_name(format!(".{}.draft", Uuid::new_v4().simple()));
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let linked =
        new.write_all(text.as_bytes()).and_then(|()| new.sync_all()).and_then(|()| fs::hard_link(&draft, file));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

fn secret() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.map(|byte| format!("{byte:02x}")).concat())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_fresh_and_fit_the_settings() {
        let text = env_lines().unwrap() + &env_lines().unwrap();
        let secrets: std::collections::BTreeSet<&str> =
            text.lines().filter_map(|line| line.split_once('=')).map(|(_, secret)| secret).collect();
        assert_eq!(secrets.len(), 4);
        assert!(secrets.iter().all(|secret| secret.len() == 64 && shared_claims::Secret::parse(secret).is_ok()));
    }

    #[test]
    fn a_secret_in_a_file_is_private_and_stays() {
        let folder = std::env::temp_dir().join(format!("keygen-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let file = folder.join("secret");
        keygen(std::slice::from_ref(&file)).unwrap();
        let first = fs::read_to_string(&file).unwrap();
        assert!(shared_claims::Secret::parse(&first).is_ok());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        keygen(std::slice::from_ref(&file)).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), first);
        assert!(keygen(&[folder.join("no/such")]).unwrap_err().to_string().contains("no/such"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
