use std::num::IntErrorKind;

use shared_claims::Problem;

/// What is wrong with a body or a query, field by field, in the order it was found.
#[derive(Default)]
pub(crate) struct Violations {
    found: Vec<(String, String)>,
    of_shape: bool,
}

impl Violations {
    /// `field` has a value that is refused.
    pub(crate) fn add(&mut self, field: &str, message: impl Into<String>) {
        self.found.push((field.to_owned(), message.into()));
    }

    /// `field` has a value of another JSON type.
    pub(crate) fn add_shape(&mut self, field: &str, message: impl Into<String>) {
        self.of_shape = true;
        self.add(field, message);
    }

    /// 400 where the shape is wrong, 422 where values are refused (RFC 9110 section 15.5.21), each naming every field.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.found.is_empty() {
            return Ok(());
        }
        let problem = if self.of_shape {
            Problem::new(400, "malformed_body", "The body does not have the shape that this needs.")
        } else {
            Problem::new(422, "validation_failed", "Some values are refused; errors names each.")
        };
        Err(self.found.into_iter().fold(problem, |problem, (field, message)| problem.error(field, message)))
    }

    /// The same as one text, for the terminal.
    pub(crate) fn told(self) -> Result<(), String> {
        let found: Vec<String> = self.found.into_iter().map(|(field, message)| format!("{field} {message}")).collect();
        if found.is_empty() { Ok(()) } else { Err(found.join("; ")) }
    }
}

/// Whether `number` lies in `range`, and if not, what to say.
pub(crate) fn in_range(number: i64, range: &std::ops::RangeInclusive<i64>) -> Result<i64, String> {
    if range.contains(&number) { Ok(number) } else { Err(format!("must be from {} to {}", range.start(), range.end())) }
}

/// The integer that `text` writes; one that is out of range is the nearest that is not.
pub(crate) fn written_integer(text: &str) -> Option<i64> {
    match text.parse::<i64>() {
        Ok(number) => Some(number),
        Err(error) => match error.kind() {
            IntErrorKind::PosOverflow => Some(i64::MAX),
            IntErrorKind::NegOverflow => Some(i64::MIN),
            _ => None,
        },
    }
}

/// The integer that `number` is, however it is written; one that is out of range is the nearest that is not.
#[expect(clippy::cast_possible_truncation, reason = "the cast of an integer out of range gives the nearest one")]
pub(crate) fn whole(number: f64) -> Option<i64> {
    (number.is_finite() && number.fract() == 0.0).then_some(number as i64)
}
