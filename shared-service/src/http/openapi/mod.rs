//! The `OpenAPI` 3.1 document of a service, and a page that shows it. Handlers describe themselves; what follows from a
//! description is added here, once.

/// Errors and headers implied by the parameters of a call.
mod complete;
/// `/openapi.json` and `/docs`.
pub(crate) mod serving;

pub use complete::complete;
pub use serving::{docs, docs_at_root};
