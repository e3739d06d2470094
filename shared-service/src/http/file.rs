use std::hash::{DefaultHasher, Hash, Hasher};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

use super::begin_read;

/// Caches may store the file but must revalidate it, so no client gets the file of an older version.
const KEPT: &str = "public, max-age=0, must-revalidate";

/// A static file, the same for every caller.
#[derive(Clone, Debug)]
pub struct File {
    /// The media type.
    pub kind: &'static str,
    /// True if `bytes` are gzip-compressed, which every browser accepts.
    pub packed: bool,
    /// The content.
    pub bytes: Bytes,
    /// The `Content-Security-Policy` of a document that a browser opens.
    pub policy: Option<HeaderValue>,
}

impl File {
    /// Answers `GET`, with 304 if the client has the file.
    #[must_use]
    pub fn serve(&self, request: &HttpRequest) -> HttpResponse {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        let tag = format!("{:016x}", hasher.finish());
        let (mut response, is_known) = begin_read(request, &tag);
        response.insert_header((CACHE_CONTROL, KEPT));
        // Also on a 304: clients update stored headers from it (RFC 9111 section 3.2).
        if let Some(policy) = &self.policy {
            response.insert_header((CONTENT_SECURITY_POLICY, policy.clone()));
        }
        if is_known {
            return response.finish();
        }
        if self.packed {
            response.insert_header((CONTENT_ENCODING, "gzip"));
        }
        response.content_type(self.kind).body(Bytes::clone(&self.bytes))
    }
}
