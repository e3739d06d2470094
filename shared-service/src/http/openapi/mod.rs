//! A service's calls as an `OpenAPI` 3.1 document, and a page that shows it. Handlers describe themselves; what follows from a
//! description is added here, once.

/// Errors and headers that follow from what a call takes.
mod complete;
/// `/openapi.json` and `/docs`.
pub(crate) mod serving;

pub use complete::complete;
pub use serving::docs;
