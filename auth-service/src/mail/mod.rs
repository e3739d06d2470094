//! Mail, and what it is for: a way back into an account, and the proof of an address. Knows SQL and SMTP, and no HTTP.
//!
//! A request writes a row of the outbox and answers; a worker looks up, makes the ticket at that moment and sends. So a
//! request for an unknown address costs what one for a known address costs.

/// The links in mails.
mod links;
/// The texts of the mails.
mod messages;
/// Mails to be sent.
mod outbox;
/// Reset, verification, and links that an admin makes.
mod recovery;
/// The settings.
mod settings;
/// The way to the mail server.
mod smtp;
/// Random texts that prove access to a mailbox once.
mod tickets;
/// The tasks that send.
mod worker;

pub use links::PublicUrl;
pub use outbox::{Kind, Mail, Outbox, add_to, is_full};
pub use recovery::{Link, Linked, Recovery, Verified};
pub use settings::MailSettings;
pub use smtp::Smtp;
pub use tickets::{Purpose, ValidTicket};

/// The argument of `database::open` for this module.
pub const MIGRATION: (&str, &str) = ("0008_mail", include_str!("../../migrations/0008_mail.sql"));

/// The name of the store in errors.
const STORE: &str = "mail";
