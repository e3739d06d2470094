/// What a book is, and what a librarian may say of one.
mod book;
/// Lists as ready bytes, never older than the request.
mod catalogue;
/// The three books of a demonstration.
mod demo;
/// Which books a list shows, in which order, and where it begins.
mod listing;
/// What was used of late, within a bound.
mod recent;
/// How many writes the catalogue has seen.
mod revisions;
/// The SQL of a list.
mod search;
/// Where the books are, and the SQL that reads one.
mod store;
/// All books at once, in and out.
mod transfer;
/// The SQL that changes something.
mod writes;

pub use book::{
    AUTHOR_LENGTH, BadText, Book, BookId, Details, Edit, NAME_LENGTH, NoBookId, PAGES, TITLE_LENGTH, YEARS, clean, fold,
};
pub use catalogue::{Catalogue, Place, ReadyPage};
pub use demo::demo_books;
pub use listing::{Key, LIMIT, Listing, Order, Position, Property, UnknownOrder};
pub use store::Books;
pub use transfer::{Imported, NotImported};
pub use writes::{Expected, NotChanged, Versions};
