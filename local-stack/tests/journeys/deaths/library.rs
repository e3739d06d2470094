use reqwest::Method;
use serde_json::{Value, json};

use super::below;
use crate::caller::{Answer, Caller};
use crate::stack::{Stack, a_book, unique};

/// A client that adds and edits books, and records what books-service acknowledges.
#[derive(Default)]
pub struct Librarian {
    books: Vec<Entry>,
    /// The indexes of the books that were added or edited since the last check.
    touched: Vec<usize>,
    /// An edit without a response: the index of the book, and its new number of pages.
    doubt: Option<(usize, usize)>,
    /// The access token of the last check: a service that is killed early may have no time for another login.
    access: Option<String>,
}

/// A book as in the latest response.
struct Entry {
    place: String,
    tag: String,
    book: Value,
}

impl Librarian {
    /// Adds and edits books until a call gets no response.
    pub async fn work(&mut self, stack: &Stack) {
        let access = match &self.access {
            Some(access) => access.clone(),
            None => match answered(stack.auth().try_post("/login", john()).await) {
                Some(login) => login.tokens().access,
                None => return,
            },
        };
        let books = stack.books().bearer(access);
        while self.add_or_edit(&books).await.is_some() {}
    }

    /// Checks that the service has every change acknowledged since the last check.
    pub async fn find_news(&mut self, stack: &Stack) {
        let access = admin_token(stack).await;
        self.access = Some(access.clone());
        let books = stack.books().bearer(access);
        if let Some((index, pages)) = self.doubt.take() {
            let entry = &mut self.books[index];
            let now = books.insist(Method::GET, &entry.place, None).await.is(200);
            if now.header("etag") != entry.tag {
                entry.book["pages"] = json!(pages);
                now.header("etag").clone_into(&mut entry.tag);
            }
            self.touched.push(index);
        }
        for index in self.touched.drain(..) {
            self.books[index].find(&books).await;
        }
    }

    /// Checks that the service has every acknowledged book.
    pub async fn find_all(&self, stack: &Stack) {
        assert!(self.books.len() > 1, "no load");
        let books = librarian(stack).await;
        for entry in &self.books {
            entry.find(&books).await;
        }
    }

    /// Adds or edits a book. `None` if there was no response: then the caller must call [`Self::find_news`] next.
    pub async fn add_or_edit(&mut self, books: &Caller<'_>) -> Option<()> {
        if self.books.is_empty() || below(3) > 0 {
            let added = answered(books.try_post("/books", a_book(&unique("Emma"))).await)?.is(201);
            let place = added.header("location").to_owned();
            self.books.push(Entry { place, tag: added.header("etag").to_owned(), book: added.json()["book"].take() });
            self.touched.push(self.books.len() - 1);
        } else {
            let (index, pages) = (below(self.books.len()), 1 + below(1000));
            let entry = &mut self.books[index];
            let edit = books.clone().with("If-Match", &entry.tag);
            self.doubt = Some((index, pages));
            let answer = edit.try_call(Method::PATCH, &entry.place, Some(json!({"pages": pages}))).await;
            let edited = answered(answer)?.is(200);
            self.doubt = None;
            edited.header("etag").clone_into(&mut entry.tag);
            entry.book = edited.json();
            self.touched.push(index);
        }
        Some(())
    }
}

impl Entry {
    async fn find(&self, books: &Caller<'_>) {
        let found = books.insist(Method::GET, &self.place, None).await.is(200);
        assert_eq!((found.header("etag"), found.json()), (&*self.tag, self.book.clone()), "{}", self.place);
    }
}

/// A client of books-service with an admin's token.
pub async fn librarian(stack: &Stack) -> Caller<'_> {
    stack.books().bearer(admin_token(stack).await)
}

async fn admin_token(stack: &Stack) -> String {
    stack.insist("/login", &john()).await.tokens().access
}

fn john() -> Value {
    json!({"username": "john", "password": "password123admin"})
}

/// The response. `None` if the service was killed or answered 503.
fn answered(answer: reqwest::Result<Answer>) -> Option<Answer> {
    answer.ok().filter(|answer| !answer.is_unavailable())
}
