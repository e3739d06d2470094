use shared_service::operations::doctor::CheckResult;

use crate::mail::MailSettings;

const WHAT: &str = "mail";

/// Connects to the mail server as this service would, and checks that links travel encrypted. No mail is sent.
pub(super) async fn mail(settings: &MailSettings, is_set: bool) -> Vec<CheckResult> {
    let mut found = vec![server(settings, is_set).await];
    if let Some(url) = settings.public_url.as_ref().filter(|url| url.travels_in_clear()) {
        let says = format!("PUBLIC_URL is {url}: links and passwords travel unencrypted; use https://");
        found.push(CheckResult::warn(WHAT, says));
    }
    found
}

async fn server(settings: &MailSettings, is_set: bool) -> CheckResult {
    let Some(smtp) = &settings.smtp else {
        if is_set {
            return CheckResult::fail(WHAT, "not asked, because of SMTP_URL: see settings");
        }
        return CheckResult::ok(WHAT, "no SMTP_URL: no mail is sent");
    };
    if smtp.is_log() {
        return CheckResult::warn(WHAT, "SMTP_URL is log: mails are written to the log, links and addresses included");
    }
    match smtp.check(settings.public_url.as_ref()).await {
        Ok(()) => CheckResult::ok(WHAT, "the mail server lets this service in"),
        Err(error) => CheckResult::fail(WHAT, error),
    }
}
