use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Prints [`env_lines`], or puts one secret into each of `files`.
///
/// # Errors
/// The system gives no random bytes, or a file cannot be written; the text names it.
pub fn keygen(files: &[PathBuf]) -> io::Result<()> {
    if files.is_empty() {
        return io::stdout().write_all(env_lines()?.as_bytes());
    }
    let named = |file: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    files.iter().try_for_each(|file| write_new(file, &secret()?).map_err(|error| named(file, error)))
}

/// Two lines for `.env`, each with a fresh secret of 32 random bytes in hex, as `crypto.randomBytes` makes them.
///
/// # Errors
/// The system gives no random bytes.
pub fn env_lines() -> io::Result<String> {
    Ok(format!("ACCESS_TOKEN_SECRET={}\nREFRESH_TOKEN_SECRET={}\n", secret()?, secret()?))
}

/// A file that is there stays. A new one appears whole or not at all, whenever the program is stopped.
fn write_new(file: &Path, secret: &str) -> io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    let draft = file.with_extension("draft");
    let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    new.write_all(secret.as_bytes())?;
    new.sync_all()?;
    fs::rename(&draft, file)
}

fn secret() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
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
