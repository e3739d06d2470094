use std::str::FromStr;

use lettre::message::Mailbox;
use secrecy::ExposeSecret;
use shared_service::Settings;

use super::server::NotAServer;
use super::{PublicUrl, Smtp};

/// The settings of mail and links.
#[derive(Clone)]
pub struct MailSettings {
    /// The mail server; none where mail is off.
    pub smtp: Option<Smtp>,
    /// The sender of mails.
    pub from: Option<Mailbox>,
    /// The beginning of links.
    pub public_url: Option<PublicUrl>,
}

impl MailSettings {
    /// Reads them; [`Settings::finish`] tells what is wrong.
    pub fn read(settings: &mut Settings) -> Self {
        let why = "The mail server: smtps://user:password@host:465, smtp://host:587 (STARTTLS) or smtp+plain://localhost:25; \
            unset, no mail is sent";
        let smtp = settings.secret_address("SMTP_URL", why);
        let smtp = smtp.and_then(|url| {
            url.expose_secret().parse().map_err(|error: NotAServer| settings.wrong("SMTP_URL", error.to_string())).ok()
        });
        let read = Self {
            smtp,
            from: parsed(
                settings,
                "MAIL_FROM",
                "an address such as Example <no-reply@example.org>",
                "Sender of the mails, such as Example <no-reply@example.org>",
            ),
            public_url: parsed(
                settings,
                "PUBLIC_URL",
                "an address such as https://auth.example.org, without user, query and fragment",
                "Address of auth-service as a browser sees it, such as https://auth.example.org; every link begins with it",
            ),
        };
        if settings.is_set("SMTP_URL") {
            for name in ["MAIL_FROM", "PUBLIC_URL"] {
                if !settings.is_set(name) {
                    settings.wrong(name, "is not set, and mails need it, because SMTP_URL is set");
                }
            }
        }
        read
    }
}

fn parsed<T: FromStr>(
    settings: &mut Settings,
    name: &'static str,
    expected: &'static str,
    why: &'static str,
) -> Option<T> {
    let text = settings.optional(name, why)?;
    text.parse().map_err(|_| settings.wrong(name, format!("must be {expected}"))).ok()
}
