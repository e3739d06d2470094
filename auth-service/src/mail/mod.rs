//! Mail: password reset and email verification. Uses SQL and SMTP, and no HTTP.
//!
//! A request handler writes a row to the outbox and responds. A worker then looks the account up, creates the ticket
//! and sends the mail. So a request for an unknown address takes as long as one for a known address.

/// A connection to a mail server that limits the bytes read.
mod bounded;
/// The links in mails.
mod links;
/// The texts of the mails.
mod messages;
/// The queue of mails.
mod outbox;
/// Password reset, email verification, and links that an admin makes.
mod recovery;
/// The address of a mail server.
mod server;
/// The settings.
mod settings;
/// The SMTP client.
mod smtp;
/// Random texts in links: each proves access to a mailbox, once.
mod tickets;
/// The tasks that send mails.
mod worker;

pub use links::PublicUrl;
pub use outbox::{Kind, Mail, Outbox, add_to, delete_claims, is_full};
pub use recovery::{Linked, Recovery, Verified};
pub use settings::MailSettings;
pub use smtp::Smtp;
pub use tickets::{Purpose, delete_made_by};

/// The name of the store in errors.
const STORE: &str = "mail";
