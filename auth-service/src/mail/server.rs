use std::str::FromStr;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::{SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT};
use percent_encoding::percent_decode_str;
use url::Url;

use super::links::is_loopback;

/// The address of a mail server.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    pub(super) credentials: Option<Credentials>,
}

/// The encryption of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    None,
    /// Implicit TLS: the handshake precedes all commands.
    Tls,
    /// TLS after the command STARTTLS, which the server must offer.
    StartTls,
}

/// An unknown scheme, no host, or another malformed part.
const WRONG: &str =
    "must be smtps://user:password@host:465, smtp://user:password@host:587, smtp+plain://localhost:25 or log:";
/// `smtp+plain` to another machine: a password may be sent unencrypted to this machine only.
const UNENCRYPTED: &str =
    "must be smtps:// or smtp://: smtp+plain:// is not encrypted, and for localhost, 127.0.0.1 or [::1] alone";

impl FromStr for Server {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| WRONG)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(WRONG)?;
        let (encryption, port) = match url.scheme() {
            "smtps" => (Encryption::Tls, SUBMISSIONS_PORT),
            "smtp" => (Encryption::StartTls, SUBMISSION_PORT),
            "smtp+plain" if is_loopback(host) => (Encryption::None, SMTP_PORT),
            "smtp+plain" => return Err(UNENCRYPTED),
            _ => return Err(WRONG),
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(String::from).ok();
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, Some(password)) if !user.is_empty() => {
                let (user, password) = decoded(user).zip(decoded(password)).ok_or(WRONG)?;
                Some(Credentials::new(user, password))
            }
            _ => return Err(WRONG),
        };
        if !matches!(url.path(), "" | "/") || url.query().or(url.fragment()).is_some() {
            return Err(WRONG);
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: url.port().unwrap_or(port), encryption, credentials })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Smtp;

    #[test]
    fn address_of_a_mail_server_names_host_port_and_encryption() {
        for (text, expected) in [
            ("smtps://user:p%40ss@mail.example.org", Ok(("mail.example.org", 465, Encryption::Tls, true))),
            ("smtp://mail.example.org", Ok(("mail.example.org", 587, Encryption::StartTls, false))),
            ("smtp://mail.example.org:2525/", Ok(("mail.example.org", 2525, Encryption::StartTls, false))),
            ("smtp+plain://localhost:1025", Ok(("localhost", 1025, Encryption::None, false))),
            ("smtp+plain://127.0.0.1", Ok(("127.0.0.1", 25, Encryption::None, false))),
            ("smtp+plain://[::1]:25", Ok(("::1", 25, Encryption::None, false))),
            ("smtp+plain://mail.example.org", Err(UNENCRYPTED)),
            ("smtp+plain://localhost.example.org", Err(UNENCRYPTED)),
            ("http://mail.example.org", Err(WRONG)),
            ("mail.example.org:25", Err(WRONG)),
            ("smtps://", Err(WRONG)),
            ("smtps://user@mail.example.org", Err(WRONG)),
            ("smtp://mail.example.org?tls=none", Err(WRONG)),
            ("smtp://mail.example.org/path", Err(WRONG)),
        ] {
            let parsed = text.parse::<Server>();
            let seen = parsed.as_ref().map(|it| (&*it.host, it.port, it.encryption, it.credentials.is_some()));
            assert_eq!(seen.map_err(|why| *why), expected, "{text}");
        }
        assert!("log:".parse::<Smtp>().is_ok_and(|smtp| smtp.is_log()));
    }
}
