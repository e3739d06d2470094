use shared_service::http::request::Integer;

use super::{Details, Text};

/// The books that a demonstration begins with.
pub(crate) fn demo_books() -> [Details; 3] {
    [
        book("Things Fall Apart", "Chinua Achebe", "Nigeria", "English", 209, 1958),
        book("Fairy tales", "Hans Christian Andersen", "Denmark", "Danish", 784, 1836),
        book("The Divine Comedy", "Dante Alighieri", "Italy", "Italian", 928, 1315),
    ]
}

fn book(title: &str, author: &str, country: &str, language: &str, pages: i64, year: i64) -> Details {
    Details {
        author: Text::trusted(author),
        country: Text::trusted(country),
        language: Text::trusted(language),
        pages: Integer(pages),
        title: Text::trusted(title),
        year: Integer(year),
    }
}
