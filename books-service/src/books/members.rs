use shared_service::Fields;

use super::{AUTHOR_LENGTH, Details, Edit, NAME_LENGTH, PAGES, TITLE_LENGTH, YEARS, clean};

/// A whole book: every member is required. `fields` know what is wrong.
#[must_use]
pub fn details(fields: &mut Fields) -> Details {
    Details {
        author: text(fields, "author", AUTHOR_LENGTH),
        country: text(fields, "country", NAME_LENGTH),
        language: text(fields, "language", NAME_LENGTH),
        pages: fields.integer("pages", PAGES),
        title: text(fields, "title", TITLE_LENGTH),
        year: fields.integer("year", YEARS),
    }
}

/// What is to change, under the same rules; `null` is no value.
#[must_use]
pub fn edit(fields: &mut Fields) -> Edit {
    Edit {
        author: fields.has("author").then(|| text(fields, "author", AUTHOR_LENGTH)),
        country: fields.has("country").then(|| text(fields, "country", NAME_LENGTH)),
        language: fields.has("language").then(|| text(fields, "language", NAME_LENGTH)),
        pages: fields.has("pages").then(|| fields.integer("pages", PAGES)),
        title: fields.has("title").then(|| text(fields, "title", TITLE_LENGTH)),
        year: fields.has("year").then(|| fields.integer("year", YEARS)),
    }
}

fn text(fields: &mut Fields, name: &'static str, longest: usize) -> String {
    fields.parsed(name, |text| clean(text, longest)).unwrap_or_default()
}
