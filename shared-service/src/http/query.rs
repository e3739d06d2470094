use std::future::{Ready, ready};
use std::ops::RangeInclusive;

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use shared_claims::Problem;

use super::violations::{Violations, in_range, written_integer};

/// The parameters of a query string.
pub struct Query(pub Params);

/// A query's parameters, to be taken one by one, as the members of a body are. Parameters that nobody takes are ignored.
pub struct Params {
    pairs: Vec<(String, String)>,
    violations: Violations,
}

impl Params {
    /// The parameter `name`, if it is there, not empty, and passes `check`.
    pub fn optional_text(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&str) -> Result<(), String>,
    ) -> Option<String> {
        let text = self.one(name)?;
        match check(&text) {
            Ok(()) => Some(text),
            Err(message) => self.refuse(name, message),
        }
    }

    /// The integer `name`, if it is there and lies in `range`.
    pub fn optional_integer(&mut self, name: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let text = self.one(name)?;
        let number = written_integer(&text).ok_or_else(|| "must be an integer".to_owned());
        number.and_then(|number| in_range(number, &range)).map_or_else(|message| self.refuse(name, message), Some)
    }

    /// Adds a violation that the caller found.
    pub fn wrong(&mut self, name: &'static str, message: impl Into<String>) {
        self.violations.add(name, message);
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 422 `validation_failed` with all violations in `errors`.
    pub fn finish(self) -> Result<(), Problem> {
        self.violations.finish()
    }

    fn one(&mut self, name: &'static str) -> Option<String> {
        let mut values = self.pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
        let first = values.next().filter(|value| !value.is_empty()).cloned();
        if values.next().is_some() {
            return self.refuse(name, "is given twice".to_owned());
        }
        first
    }

    fn refuse<T>(&mut self, name: &'static str, message: String) -> Option<T> {
        self.violations.add(name, message);
        None
    }
}

impl FromRequest for Query {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let pairs = web::Query::from_query(request.query_string()).map(web::Query::into_inner);
        ready(match pairs {
            Ok(pairs) => Ok(Self(Params { pairs, violations: Violations::default() })),
            Err(_) => Err(Problem::new(400, "malformed_query", "The query string cannot be read.")),
        })
    }
}
