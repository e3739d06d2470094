/// A book, and the limits of its properties.
mod book;
/// Cached lists, never older than the request.
mod catalogue;
/// SQL conditions on books.
mod conditions;
/// The three books of a demonstration.
mod demo;
/// Import.
mod import;
/// The filter, order and position of a page.
mod listing;
/// A migration step that rewrites the search keys of all books.
mod rekey;
/// The page of a list, and the access path to it.
mod search;
/// The statements of a list.
mod statements;
/// The database of books, and the SQL that reads single books.
mod store;
/// Validation and folding of text.
mod text;
/// Export, and the conversion of an imported record to a book.
mod transfer;
/// The SQL of writes.
mod writes;

pub use book::{Author, Book, BookId, Details, Edit, Name, Pages, Title, Year};
pub use catalogue::{Catalogue, ListPage};
pub(crate) use demo::demo_books;
pub use listing::{Key, LIMIT, Listing, Order, Position, Property};
pub use rekey::rekey;
pub use store::Books;
pub use text::{BadText, Text, clean, fold};
pub use transfer::{Imported, NotImported};
pub use writes::NotChanged;
