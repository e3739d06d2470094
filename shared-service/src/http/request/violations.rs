use std::fmt;

use shared_claims::{ErrorCode, Problem};

/// The violations in a body or a query, by field, in the order in which they were found.
#[derive(Debug, Default)]
pub struct Violations {
    found: Vec<(String, String)>,
    of_shape: bool,
}

impl Violations {
    /// The violation `message` of `field` alone.
    pub(super) fn of(field: &str, message: &str) -> Self {
        Self { found: vec![(field.to_owned(), message.to_owned())], of_shape: false }
    }

    /// Adds a violation of `field`; `is_shape` if its value has another JSON type than the field.
    pub(super) fn add(&mut self, field: &str, message: String, is_shape: bool) {
        self.of_shape |= is_shape;
        self.found.push((field.to_owned(), message));
    }

    /// True if there is a violation of `field`.
    pub(super) fn names(&self, field: &str) -> bool {
        self.found.iter().any(|(known, _)| known == field)
    }
}

/// 400 if a value has another JSON type than its field, otherwise 422 (RFC 9110 section 15.5.21).
impl From<Violations> for Problem {
    fn from(violations: Violations) -> Self {
        let code = if violations.of_shape { ErrorCode::MalformedBody } else { ErrorCode::ValidationFailed };
        let found = violations.found.into_iter();
        found.fold(Self::new(code), |problem, (field, message)| problem.error(field, message))
    }
}

/// All violations in one line, for the terminal.
impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found: Vec<String> = self.found.iter().map(|(field, message)| format!("{field} {message}")).collect();
        f.write_str(&found.join("; "))
    }
}
