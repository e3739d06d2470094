use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, address::AddressError};
use tokio::time::timeout;
use uuid::Uuid;

use super::bounded::BoundedStream;
use super::links::PublicUrl;
use super::messages::Letter;
use super::server::{Encryption, Server};
use crate::users::Email;

/// The time limit for sending a mail, which is tried again after it. It is shorter than the pause before the second
/// try, so that no other worker sends the mail meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time limit for `QUIT`: the server has accepted the mail by then.
const FAREWELL: Duration = Duration::from_secs(1);
/// The maximum length of a line (RFC 5322 section 2.1.1).
const LONGEST_LINE: usize = 998;
/// Reply codes that refuse the recipient (RFC 5321 section 4.2.3): another try would be refused, too. Other codes may
/// be about this service, and change once an operator has corrected its settings.
const REFUSES_RECIPIENT: std::ops::RangeInclusive<u16> = 550..=553;
/// The enhanced status codes (RFC 3463) with which such a reply refuses the sender, or refers to a policy.
const REFUSES_SENDER: [&str; 3] = ["5.1.7", "5.1.8", "5.7."];

/// The transport of mails: a mail server, or the log.
#[derive(Clone)]
pub struct Smtp(Option<Server>);

/// The reason why a mail was not sent. Its text never quotes the server's reply, which may contain the address.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSent {
    #[error("the mail server refuses the recipient, with {0}")]
    Recipient(u16),
    #[error("the mail server answered {0}")]
    Reply(u16),
    #[error("no answer of the mail server within {} s", PATIENCE.as_secs())]
    Silence,
    #[error("the answer of the mail server is not understood")]
    Nonsense,
    #[error("the mail server cannot be used: {0}")]
    Connection(Error),
    #[error("the mail server cannot take a mail to this address: {0}")]
    Unsupported(Error),
    #[error("the mail server cannot be reached: {0}")]
    Unreachable(#[from] io::Error),
    #[error("the mail cannot be written: {0}")]
    Message(#[from] lettre::error::Error),
    #[error("the address is none that mail can be sent to: {0}")]
    Address(#[from] AddressError),
}

impl Smtp {
    /// True if mails are written to the log.
    pub fn is_log(&self) -> bool {
        self.0.is_none()
    }

    /// Sends `letter` to `email` over a connection of its own. `hello` is the name of this host for `EHLO`.
    pub(super) async fn send(&self, hello: &str, from: &Mailbox, email: &Email, letter: Letter) -> Result<(), NotSent> {
        let Some(server) = &self.0 else {
            log::info!("mail to {}: {}\n\n{}", email.as_str(), letter.subject, letter.body);
            return Ok(());
        };
        let message = message(from, email, letter)?;
        // The library's time limit covers only the connection.
        let sending = async {
            let mut connection = server.connect(hello).await?;
            if let Err(error) = connection.send(message.envelope(), &message.formatted()).await {
                // The library refuses an address that is not ASCII where the server has no SMTPUTF8 (RFC 6531).
                let is_ascii = message.envelope().to().iter().all(|to| to.to_string().is_ascii());
                let is_unsupported = error.is_client() && !is_ascii;
                return Err(if is_unsupported { NotSent::Unsupported(error) } else { error.into() });
            }
            Ok::<_, NotSent>(connection)
        };
        let mut connection = timeout(PATIENCE, sending).await.map_err(|_| NotSent::Silence)??;
        drop(timeout(FAREWELL, connection.quit()).await);
        Ok(())
    }

    /// Connects as the host of `public_url`, encrypts and authenticates, but sends no mail.
    pub async fn check(&self, public_url: Option<&PublicUrl>) -> Result<(), String> {
        let Some(server) = &self.0 else { return Ok(()) };
        let hello = public_url.map_or("localhost", PublicUrl::host);
        let mut connection = server.connect(hello).await.map_err(|error| error.to_string())?;
        drop(timeout(FAREWELL, connection.quit()).await);
        Ok(())
    }
}

impl Server {
    async fn connect(&self, hello: &str) -> Result<AsyncSmtpConnection, NotSent> {
        let (hello, host) = (client_id(hello), self.host.as_str());
        let tls = || TlsParameters::new(host.to_owned());
        let mut connection = if self.encryption == Encryption::Tls {
            // The server's certificate is verified before its first reply.
            AsyncSmtpConnection::connect_tokio1((host, self.port), Some(PATIENCE), &hello, Some(tls()?), None).await?
        } else {
            let stream = BoundedStream::connect(host, self.port).await?;
            AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await?
        };
        if self.encryption == Encryption::StartTls {
            connection.starttls(tls()?, &hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

impl FromStr for Smtp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text == "log:" { Ok(Self(None)) } else { text.parse().map(|server| Self(Some(server))) }
    }
}

impl NotSent {
    /// True if another try is of no use.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Recipient(_) | Self::Unsupported(_) | Self::Message(_) | Self::Address(_))
    }
}

impl From<Error> for NotSent {
    fn from(error: Error) -> Self {
        let reply = error.source().map(ToString::to_string).unwrap_or_default();
        let is_about_sender = REFUSES_SENDER.iter().any(|code| reply.starts_with(code));
        match error.status().map(u16::from) {
            Some(code) if REFUSES_RECIPIENT.contains(&code) && !is_about_sender => Self::Recipient(code),
            Some(code) => Self::Reply(code),
            None if error.is_response() => Self::Nonsense,
            None => Self::Connection(error),
        }
    }
}

/// The name of this host for `EHLO`: a domain, or an address literal (RFC 5321 section 4.1.3).
fn client_id(host: &str) -> ClientId {
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::Domain(host.to_owned()),
    }
}

/// `email` with its domain in ASCII: mail servers without RFC 6531 accept no other form.
fn address(email: &str) -> Result<Address, AddressError> {
    let (local, domain) = email.rsplit_once('@').unwrap_or_default();
    Address::new(local, idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned()))
}

fn message(from: &Mailbox, email: &Email, letter: Letter) -> Result<Message, NotSent> {
    let from = Mailbox::new(from.name.clone(), address(from.email.as_ref())?);
    let id = format!("<{}@{}>", Uuid::new_v4(), from.email.domain());
    // Keeps automatic responders from replying (RFC 3834).
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let message = Message::builder()
        .from(from)
        .to(Mailbox::new(None, address(email.as_str())?))
        .subject(letter.subject)
        .message_id(Some(id))
        .raw_header(automatic)
        .header(ContentType::TEXT_PLAIN);
    Ok(message.body(unbroken(letter.body))?)
}

/// Keeps the lines of `body`, and so a link on one line: the library breaks lines after 76 characters.
fn unbroken(body: String) -> Body {
    if !body.is_ascii() || body.lines().any(|line| line.len() > LONGEST_LINE) {
        return Body::new(body);
    }
    Body::dangerous_pre_encoded(body.replace('\n', "\r\n").into_bytes(), ContentTransferEncoding::SevenBit)
}
