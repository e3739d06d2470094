//! The `OpenAPI` 3.1 document of a service, and a page that shows it. Each handler carries its own description; this
//! module adds the errors and headers that every description implies.

/// Errors and headers implied by the parameters of a call.
mod complete;
/// `/openapi.json` and `/docs`.
pub(crate) mod serving;

pub use complete::complete;
pub use serving::{docs, docs_at_root};
