use shared_claims::Problem;
use shared_service::Fields;

use crate::books::{self, Details, Edit};

/// A whole book: every member is required.
///
/// # Errors
/// 400 or 422, with every violation.
pub fn details(mut fields: Fields) -> Result<Details, Problem> {
    let details = books::details(&mut fields);
    fields.finish()?;
    Ok(details)
}

/// What is to change: at least one member, under the same rules; `null` is no value.
///
/// # Errors
/// 400 or 422, with every violation.
pub fn edit(mut fields: Fields) -> Result<Edit, Problem> {
    let edit = books::edit(&mut fields);
    fields.finish()?;
    if edit == Edit::default() {
        let detail = "A change names at least one of author, country, language, pages, title and year.";
        let problem = Problem::new(422, "validation_failed", detail);
        let names = ["author", "country", "language", "pages", "title", "year"];
        return Err(names.into_iter().fold(problem, |problem, name| problem.error(name, "or another is required")));
    }
    Ok(edit)
}
