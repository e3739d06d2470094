use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use actix_web::http::header::{HeaderValue, LOCATION};
use actix_web::web::{Bytes, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use shared_claims::Problem;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use crate::http::{File, at};

/// The page may load files of its own origin and call its own service, nothing else. Swagger UI uses inline styles, and
/// icons as `data:` URLs in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static INDEX: File = File {
    kind: "text/html; charset=utf-8",
    packed: false,
    bytes: Bytes::from_static(include_bytes!("index.html")),
    policy: Some(HeaderValue::from_static(POLICY)),
};
static START: File = File {
    kind: "text/javascript; charset=utf-8",
    packed: false,
    bytes: Bytes::from_static(include_bytes!("start.js")),
    policy: None,
};

/// The files of Swagger UI that the page loads.
const LOADED: [&str; 3] = ["favicon-32x32.png", "swagger-ui-bundle.js", "swagger-ui.css"];

/// The serialized document, built at the first request for it.
type Made = LazyLock<Bytes, Box<dyn FnOnce() -> Bytes + Send>>;

/// Adds `GET /openapi.json`, which is `document`, and `GET /docs`, a page that shows it.
pub fn docs(document: fn() -> OpenApi) -> impl Fn(&mut ServiceConfig) + Clone {
    let made: Made = LazyLock::new(Box::new(move || Bytes::from(document().to_json().unwrap_or_default())));
    let made = Data::new(made);
    move |config| {
        config
            .app_data(made.clone())
            .service(at("/openapi.json").get(read))
            .service(at("/docs").get(show))
            .service(at("/docs/{file:.*}").get(load));
    }
}

/// Redirects `/` to `/docs`, for a service without a page of its own.
pub fn docs_at_root(config: &mut ServiceConfig) {
    let to_docs = || std::future::ready(HttpResponse::Found().insert_header((LOCATION, "docs")).finish());
    config.service(at("/").get(to_docs));
}

async fn show(request: HttpRequest) -> HttpResponse {
    INDEX.serve(&request)
}

/// Read this document
#[utoipa::path(get, path = "/openapi.json", operation_id = "readDocument", tag = "service", responses(
    (status = 200, description = "The document.", body = Object), (status = 304, description = "It is what the client has.")))]
pub(crate) async fn read(request: HttpRequest, made: Data<Made>) -> HttpResponse {
    File { kind: "application/json", packed: false, bytes: Bytes::clone(&made), policy: None }.serve(&request)
}

/// Serves a file of the page. `/docs/` is redirected, because the links of the page are relative to `/docs`.
async fn load(request: HttpRequest, file: Path<String>) -> Result<HttpResponse, Problem> {
    match file.as_str() {
        "" => Ok(HttpResponse::PermanentRedirect().insert_header((LOCATION, "../docs")).finish()),
        "start.js" => Ok(START.serve(&request)),
        name if LOADED.contains(&name) => Ok(loaded(name).ok_or_else(Problem::internal)?.serve(&request)),
        _ => Err(Problem::of_status(404)),
    }
}

/// A file of Swagger UI.
fn loaded(name: &str) -> Option<File> {
    let kind = match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "image/png",
    };
    let file = utoipa_swagger_ui::serve(name, Arc::new(Config::default())).ok()??;
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    Some(File { kind, packed: file.gzpipped, bytes, policy: None })
}
