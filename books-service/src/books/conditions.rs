use shared_service::database::Connection;

use super::{Key, Listing, Position, Property};

/// The SQL expression of a book's text, as the view `book_text` and the index of Postgres have it.
const TEXT: &str = "('  ' || replace(author_key || ' ' || title_key || ' ' || country_key || ' ' || language_key, \
     ' ', '  '))";
/// The minimum number of characters that the trigram index finds anywhere in a word.
const TRIGRAM: usize = 3;

/// Conditions on books, and the values of `$1`, `$2`, …. Text from clients is always a value, never part of SQL.
#[derive(Clone, Default)]
pub struct Conditions {
    all: Vec<String>,
    arguments: Vec<Key>,
}

impl Conditions {
    /// Adds a value; returns its placeholder.
    pub fn put(&mut self, argument: Key) -> String {
        self.arguments.push(argument);
        format!("${}", self.arguments.len())
    }

    /// Requires each search word in the text of the book.
    pub fn words(&mut self, listing: &Listing) {
        for word in &listing.words {
            self.add_part(TEXT, &part_of_text(word));
        }
    }

    /// Adds the conditions that the text index can answer: all of [`Conditions::words`], and some that all matches of
    /// [`Conditions::fields`] meet.
    pub fn in_index(&mut self, listing: &Listing, index: &Connection) {
        let fields = listing.fields().filter(|(_, part)| is_indexed(part)).map(|(_, part)| part.replace(' ', "  "));
        for part in listing.words.iter().map(|word| part_of_text(word)).chain(fields) {
            let (operator, pattern) = index.contains(&part);
            let pattern = self.put(Key::Text(pattern));
            self.all.push(format!("text {operator} {pattern}"));
        }
    }

    /// Adds the conditions on single fields.
    pub fn fields(&mut self, listing: &Listing) {
        for (property, part) in listing.fields() {
            self.add_part(&column(property), part);
        }
    }

    /// Adds the conditions on the year; `+year` as `column` keeps the database from the index of the years.
    pub fn years(&mut self, listing: &Listing, column: &str) {
        for (comparison, year) in [(">=", listing.year_from), ("<=", listing.year_to)] {
            if let Some(year) = year {
                let year = self.put(Key::Number(year));
                self.all.push(format!("{column} {comparison} {year}"));
            }
        }
    }

    /// Restricts the list to the books after its position; `columns` are the key of its order and the id.
    pub fn after(&mut self, listing: &Listing, columns: &str) {
        let Some(Position { key, id }) = &listing.after else { return };
        let comparison = if listing.order.descending { '<' } else { '>' };
        let (key, id) = (self.put(key.clone()), self.put(Key::Text(id.clone())));
        self.all.push(format!("({columns}) {comparison} ({key}, {id})"));
    }

    /// Joins the conditions into one, and removes them; later conditions share the arguments.
    pub fn take(&mut self) -> String {
        let all = std::mem::take(&mut self.all);
        if all.is_empty() { "1 = 1".to_owned() } else { all.join(" AND ") }
    }

    /// Joins the conditions into one; returns it and the arguments.
    pub fn finish(mut self) -> (String, Vec<Key>) {
        (self.take(), self.arguments)
    }

    /// Requires `part` in `text`.
    fn add_part(&mut self, text: &str, part: &str) {
        let escaped = part.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        let pattern = self.put(Key::Text(format!("%{escaped}%")));
        self.all.push(format!("{text} LIKE {pattern} ESCAPE '!'"));
    }
}

/// The part of a text that matches `word`: a word of one or two letters must be at the beginning of a word.
fn part_of_text(word: &str) -> String {
    if is_indexed(word) { word.to_owned() } else { format!("  {word}") }
}

/// True if `part` is long enough for the trigram index to find it anywhere in a word.
pub fn is_indexed(part: &str) -> bool {
    part.chars().nth(TRIGRAM - 1).is_some()
}

/// The column that an order or a filter compares.
pub fn column(property: Property) -> String {
    format!("{property}{}", if property.is_text() { "_key" } else { "" })
}
