use super::{Key, Listing, Position, Property};

/// The SQL expression of a book's text, as the view `book_text` and the index of Postgres have it.
pub const TEXT: &str = "('  ' || replace(author_key || ' ' || title_key || ' ' || country_key || ' ' || language_key, \
     ' ', '  '))";
/// The minimum number of characters that the trigram index finds anywhere in a word.
const TRIGRAM: usize = 3;
/// The wildcards and the escape character of a `LIKE` pattern.
const WILD: [char; 3] = ['%', '_', '\\'];

/// Conditions on books, and the values of `$1`, `$2`, …. Text from clients is always a value, never part of SQL.
#[derive(Default)]
pub struct Conditions {
    all: Vec<String>,
    arguments: Vec<Key>,
}

impl Conditions {
    /// Adds a condition.
    pub fn add(&mut self, condition: impl Into<String>) {
        self.all.push(condition.into());
    }

    /// Adds a value; returns its placeholder.
    pub fn put(&mut self, argument: Key) -> String {
        self.arguments.push(argument);
        format!("${}", self.arguments.len())
    }

    /// Requires each search word in `text`; a word of one or two letters must be at the beginning of a word.
    pub fn words(&mut self, listing: &Listing, text: &str) {
        for word in &listing.words {
            let before = if is_indexed(word) { "" } else { "  " };
            self.add_rough(text, &format!("{before}{word}"));
            if word.contains(WILD) {
                self.add_exact(text, &format!("{before}{word}"));
            }
        }
    }

    /// Adds conditions that the index can answer and that all matches of [`Conditions::fields`] meet.
    pub fn fields_in_text(&mut self, listing: &Listing) {
        for (_, part) in listing.fields().filter(|(_, part)| is_indexed(part)) {
            self.add_rough("text", &part.replace(' ', "  "));
        }
    }

    /// Adds the conditions on single fields.
    pub fn fields(&mut self, listing: &Listing) {
        for (property, part) in listing.fields() {
            self.add_exact(column(property), part);
        }
    }

    /// Adds the conditions on the year; `+year` as `column` keeps the database from the index of the years.
    pub fn years(&mut self, listing: &Listing, column: &str) {
        for (comparison, year) in [(">=", listing.year_from), ("<=", listing.year_to)] {
            if let Some(year) = year {
                let year = self.put(Key::Number(year));
                self.add(format!("{column} {comparison} {year}"));
            }
        }
    }

    /// Restricts the list to the books after its position, in a form that the order's index can answer.
    pub fn after(&mut self, listing: &Listing) {
        let Some(Position { key, id }) = &listing.after else { return };
        let comparison = if listing.order.descending { '<' } else { '>' };
        let (key, id) = (self.put(key.clone()), self.put(Key::Text(id.clone())));
        self.add(format!("({}, books.id) {comparison} ({key}, {id})", column(listing.order.by)));
    }

    /// Joins the conditions into one; returns it and the values.
    pub fn finish(self) -> (String, Vec<Key>) {
        (if self.all.is_empty() { "1 = 1".to_owned() } else { self.all.join(" AND ") }, self.arguments)
    }

    /// Requires `part` in `text`, with any character for a wildcard: `SQLite`'s index does not support ESCAPE.
    fn add_rough(&mut self, text: &str, part: &str) {
        let pattern = self.put(Key::Text(format!("%{}%", part.replace(WILD, "_"))));
        self.add(format!("{text} LIKE {pattern}"));
    }

    /// Requires `part` in `text`, literally.
    fn add_exact(&mut self, text: &str, part: &str) {
        let escaped = part.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        let pattern = self.put(Key::Text(format!("%{escaped}%")));
        self.add(format!("{text} LIKE {pattern} ESCAPE '!'"));
    }
}

/// True if `part` is long enough for the trigram index to find it anywhere in a word.
pub fn is_indexed(part: &str) -> bool {
    part.chars().nth(TRIGRAM - 1).is_some()
}

/// The column that an order or a filter compares.
pub const fn column(property: Property) -> &'static str {
    match property {
        Property::Added => "added",
        Property::Author => "author_key",
        Property::Country => "country_key",
        Property::Language => "language_key",
        Property::Pages => "pages",
        Property::Title => "title_key",
        Property::Year => "year",
    }
}
