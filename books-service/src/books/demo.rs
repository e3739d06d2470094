use super::Details;

/// The books that a demonstration begins with.
#[must_use]
pub fn demo_books() -> [Details; 3] {
    [
        book("Things Fall Apart", "Chinua Achebe", "Nigeria", "English", 209, 1958),
        book("Fairy tales", "Hans Christian Andersen", "Denmark", "Danish", 784, 1836),
        book("The Divine Comedy", "Dante Alighieri", "Italy", "Italian", 928, 1315),
    ]
}

fn book(title: &str, author: &str, country: &str, language: &str, pages: i64, year: i64) -> Details {
    let [title, author, country, language] = [title, author, country, language].map(str::to_owned);
    Details { author, country, language, pages, title, year }
}
