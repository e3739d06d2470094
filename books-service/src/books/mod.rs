/// A book, and the limits of its properties.
mod book;
/// Cached lists, never older than the request.
mod catalogue;
/// The three books of a demonstration.
mod demo;
/// Which books a list shows, in which order, and where it begins.
mod listing;
/// The keys of all books, written anew.
mod rekey;
/// The SQL of a list.
mod search;
/// The database of books, and the SQL that reads one.
mod store;
/// The text of a book, as it is taken and as it is searched.
mod text;
/// All books at once, in and out.
mod transfer;
/// The SQL that changes something.
mod writes;

pub use book::{Author, Book, BookId, Details, Edit, Name, NoBookId, Pages, Title, Year};
pub use catalogue::{Catalogue, ListPage};
pub use demo::demo_books;
pub use listing::{Key, LIMIT, Listing, Order, Position, Property, UnknownOrder};
pub use rekey::rekey;
pub use store::Books;
pub use text::{BadText, Text, clean, fold};
pub use transfer::{Imported, NotImported};
pub use writes::{Expected, NotChanged, Versions};
