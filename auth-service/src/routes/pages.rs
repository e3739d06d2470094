//! The pages that links in mails lead to. The ticket is in the fragment, so a request for a page does not redeem it.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, REFERRER_POLICY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// A page, and the Content Security Policy that permits its own script and style only.
struct Page {
    html: String,
    policy: String,
}

const SCRIPT: &str = include_str!("pages/link.js");
const STYLE: &str = include_str!("pages/link.css");
static RESET: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("pages/reset.html")));
static VERIFY: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("pages/verify.html")));

/// Show the page that sets another password
///
/// It takes the ticket from the fragment of its address, asks for a password, and sends both to `POST /password/reset`.
#[utoipa::path(get, path = "/reset", operation_id = "showReset", tag = "mail",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")))]
pub(super) async fn reset() -> HttpResponse {
    RESET.answer()
}

/// Show the page that verifies an address
///
/// It takes the ticket from the fragment of its address, asks for the password of the account, and sends both to `POST
/// /email/verify`.
#[utoipa::path(get, path = "/verify", operation_id = "showVerify", tag = "mail",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")))]
pub(super) async fn verify() -> HttpResponse {
    VERIFY.answer()
}

impl Page {
    fn new(html: &str) -> Self {
        let [script, style] = [SCRIPT, STYLE].map(|text| STANDARD.encode(Sha256::digest(text)));
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        Self { html: html.replace("{script}", SCRIPT).replace("{style}", STYLE), policy }
    }

    fn answer(&'static self) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header(ContentType::html())
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((CONTENT_SECURITY_POLICY, self.policy.as_str()))
            .insert_header((REFERRER_POLICY, "no-referrer"))
            .body(self.html.as_str())
    }
}
