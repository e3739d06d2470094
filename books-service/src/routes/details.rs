use shared_claims::Problem;
use shared_http::Fields;

use crate::books::{AUTHOR_LENGTH, Details, Edit, NAME_LENGTH, PAGES, TITLE_LENGTH, YEARS, clean};

/// A whole book: every member is required.
///
/// # Errors
/// 400 or 422, with every violation.
pub fn details(mut fields: Fields) -> Result<Details, Problem> {
    let details = Details {
        author: text(&mut fields, "author", AUTHOR_LENGTH),
        country: text(&mut fields, "country", NAME_LENGTH),
        language: text(&mut fields, "language", NAME_LENGTH),
        pages: fields.integer("pages", PAGES),
        title: text(&mut fields, "title", TITLE_LENGTH),
        year: fields.integer("year", YEARS),
    };
    fields.finish()?;
    Ok(details)
}

/// What is to change: at least one member, under the same rules; `null` is no value.
///
/// # Errors
/// 400 or 422, with every violation.
pub fn edit(mut fields: Fields) -> Result<Edit, Problem> {
    let edit = Edit {
        author: fields.has("author").then(|| text(&mut fields, "author", AUTHOR_LENGTH)),
        country: fields.has("country").then(|| text(&mut fields, "country", NAME_LENGTH)),
        language: fields.has("language").then(|| text(&mut fields, "language", NAME_LENGTH)),
        pages: fields.has("pages").then(|| fields.integer("pages", PAGES)),
        title: fields.has("title").then(|| text(&mut fields, "title", TITLE_LENGTH)),
        year: fields.has("year").then(|| fields.integer("year", YEARS)),
    };
    fields.finish()?;
    if edit == Edit::default() {
        let detail = "A change names at least one of author, country, language, pages, title and year.";
        let problem = Problem::new(422, "validation_failed", detail);
        let names = ["author", "country", "language", "pages", "title", "year"];
        return Err(names.into_iter().fold(problem, |problem, name| problem.error(name, "or another is required")));
    }
    Ok(edit)
}

fn text(fields: &mut Fields, name: &'static str, longest: usize) -> String {
    fields.parsed(name, |text| clean(text, longest)).unwrap_or_default()
}
