/// Resources of a URL table, and the responses to `HEAD`, `OPTIONS` and methods that a path does not have.
mod at;
/// The sender of a request: address, request id and trace, added to every log line.
mod caller;
/// Cross-origin requests (CORS).
mod cors;
/// The limit of open files.
pub(crate) mod descriptors;
/// Entity tags (RFC 9110 section 8.8.3).
mod etag;
/// Static files.
mod file;
/// The hosts accepted in `Host`.
mod host;
/// Media types of request bodies.
mod media;
/// Memory limits of the process.
mod memory;
/// Middleware around every request: request id, log line, error body.
mod observe;
/// The `OpenAPI` document, and a page that shows it.
pub mod openapi;
/// Options of every server.
mod options;
/// Pagination of lists.
mod page;
/// Trusted reverse proxies.
mod proxies;
/// Request bodies and query strings, read into structs with all violations reported at once.
pub mod request;
/// The route of a request, with the timers of its responses.
mod route;
/// TLS termination in this process.
mod tls;
/// Trace context of a request (W3C).
mod trace;
/// Chunked bodies that are not read to their end.
mod unread;

pub use at::at;
pub use caller::{Caller, RequestId};
pub(crate) use cors::cors;
pub use etag::{begin_read, has_tag, may_change, quoted};
pub use file::File;
pub(crate) use host::Hosts;
pub(crate) use observe::Observer;
pub use options::{ServerOptions, origin};
pub use page::{Page, Total, link_next};
pub use proxies::TrustedProxies;
pub(crate) use route::{Route, UNMATCHED, describe as describe_requests};
pub use tls::TlsFiles;
pub(crate) use tls::start as start_tls;
