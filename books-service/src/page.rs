use actix_web::http::header::{HeaderValue, REFERRER_POLICY};
use actix_web::web::{Bytes, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use shared_claims::Problem;
use shared_service::{File, at};

/// The placeholder for the origin of auth-service in the document.
const AUTH: &str = "{AUTH_PUBLIC_URL}";

const DOCUMENT: &str = include_str!("../web/index.html");

/// The other files of the page, each under `/web/`.
const FILES: [(&str, &str, &[u8]); 13] = [
    ("account.js", SCRIPT, include_bytes!("../web/account.js")),
    ("api.js", SCRIPT, include_bytes!("../web/api.js")),
    ("app.js", SCRIPT, include_bytes!("../web/app.js")),
    ("book.js", SCRIPT, include_bytes!("../web/book.js")),
    ("catalogue.js", SCRIPT, include_bytes!("../web/catalogue.js")),
    ("editor.js", SCRIPT, include_bytes!("../web/editor.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("../web/icon.svg")),
    ("people.js", SCRIPT, include_bytes!("../web/people.js")),
    ("session.js", SCRIPT, include_bytes!("../web/session.js")),
    ("spine.js", SCRIPT, include_bytes!("../web/spine.js")),
    ("style.css", "text/css; charset=utf-8", include_bytes!("../web/style.css")),
    ("ui.js", SCRIPT, include_bytes!("../web/ui.js")),
    ("welcome.js", SCRIPT, include_bytes!("../web/welcome.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Serves the page: a document at `/` with the origin `auth`, and its files. The page is the same for every caller; it
/// gets a member's data through calls to both services.
pub(crate) fn page(auth: &str) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let document = Data::new(document(auth));
    move |config| {
        config.service(at("/").app_data(document.clone()).get(show)).service(at("/web/{file}").get(load));
    }
}

/// The document. Its CSP allows scripts of this origin and calls to this origin and to `auth`, but no inline script.
fn document(auth: &str) -> File {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {auth}; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
        trusted-types 'none'"
    );
    File {
        kind: "text/html; charset=utf-8",
        packed: false,
        bytes: Bytes::from(DOCUMENT.replace(AUTH, auth)),
        policy: HeaderValue::try_from(policy).ok(),
    }
}

async fn show(request: HttpRequest, document: Data<File>) -> HttpResponse {
    let mut response = document.serve(&request);
    // Requests to other sites have no `Referer`; a call to this origin keeps its `Origin`.
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

async fn load(request: HttpRequest, file: Path<String>) -> Result<HttpResponse, Problem> {
    let (_, kind, bytes) =
        FILES.iter().find(|(name, ..)| *name == file.as_str()).ok_or_else(|| Problem::of_status(404))?;
    Ok(File { kind, packed: false, bytes: Bytes::from_static(bytes), policy: None }.serve(&request))
}
