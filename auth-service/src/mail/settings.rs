use lettre::message::Mailbox;
use secrecy::ExposeSecret;
use shared_service::Settings;

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
        let smtp =
            smtp.and_then(|url| url.expose_secret().parse().map_err(|why: &str| settings.wrong("SMTP_URL", why)).ok());
        let why = "Sender of the mails, such as Example <no-reply@example.org>";
        let from = settings.optional("MAIL_FROM", why).and_then(|text| {
            let remedy = "must be an address such as Example <no-reply@example.org>";
            text.parse().map_err(|_| settings.wrong("MAIL_FROM", remedy)).ok()
        });
        let why =
            "Address of auth-service as a browser sees it, such as https://auth.example.org; every link begins with it";
        let public_url = settings
            .optional("PUBLIC_URL", why)
            .and_then(|text| text.parse().map_err(|why: &str| settings.wrong("PUBLIC_URL", why)).ok());
        if settings.is_set("SMTP_URL") {
            for name in ["MAIL_FROM", "PUBLIC_URL"] {
                if !settings.is_set(name) {
                    settings.wrong(name, "is not set, and mails need it, because SMTP_URL is set");
                }
            }
        }
        Self { smtp, from, public_url }
    }
}
