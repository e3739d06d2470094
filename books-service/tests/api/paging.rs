use serde_json::{Value, json};

use crate::caller::Answer;
use crate::library::{Library, a_book, book_with, on_each, on_each_database};
use crate::transfer::import;

/// All pages from `path` on.
async fn pages(library: &Library, path: &str) -> Vec<Answer> {
    let mut pages = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let page = library.member().get(&path).await.is(200);
        next = page.next();
        pages.push(page);
    }
    pages
}

fn ids(pages: &[Answer]) -> Vec<Value> {
    pages.iter().flat_map(|page| page.each("id")).collect()
}

#[tokio::test]
async fn a_thousand_books_are_paged_in_every_order() {
    on_each(async |database| {
        let line = |number: i64| {
            let texts = ["Ost", "öst", "west", "Süd", "süd", "NORD", "nord", "東", "Восток", "o'st_%"];
            let text = texts[usize::try_from(number % 10).unwrap()];
            let book = json!({"author": text, "title": text, "country": text, "language": text,
                "pages": 1 + number % 7, "year": number % 11 - 5});
            book_with(&book).to_string()
        };
        import(database, &(0..1000).map(line).collect::<Vec<_>>().join("\n"));
        let library = Library::start(&database.url, []).await;
        let everything = library.member().get("/books").await.is(200);
        assert_eq!(everything.next(), None, "a thousand books are one page");
        let mut all = everything.each("id");
        all.sort_by_key(Value::to_string);
        for sort in ["added", "author", "country", "language", "pages", "title", "year"] {
            let forth = pages(&library, &format!("/books?sort={sort}&limit=83")).await;
            assert!(forth.iter().all(|page| page.header("x-total-count") == "1000"));
            assert_eq!(forth.len(), 13, "1000 books, 83 a page");
            let mut forth = ids(&forth);
            let mut back = ids(&pages(&library, &format!("/books?limit=83&sort=-{sort}")).await);
            back.reverse();
            assert_eq!(forth, back, "{sort}: the descending order is the ascending one reversed");
            let whole = library.member().get(&format!("/books?sort={sort}")).await.each("id");
            assert_eq!(forth, whole, "{sort}: pages and the whole list agree");
            forth.sort_by_key(Value::to_string);
            assert!(forth == all, "{sort}: every book is listed once");
        }
    })
    .await;
}

#[tokio::test]
async fn a_link_keeps_the_filters() {
    on_each_database(async |library| {
        for year in 1900..1910 {
            library.add(book_with(&json!({"year": year, "title": format!("&=%+ {year}")}))).await;
        }
        let pages = pages(&library, "/books?q=%26%3d%25%2B&yearFrom=1903&limit=3&sort=-year&x=y").await;
        let years: Vec<Vec<Value>> = pages.iter().map(|page| page.each("year")).collect();
        assert_eq!(years, [&[1909, 1908, 1907][..], &[1906, 1905, 1904], &[1903]]);
        assert!(pages.iter().all(|page| page.header("x-total-count") == "7"), "the total is that of the filter");
        assert!(pages[0].next().unwrap().contains("x=y"), "unknown parameters are kept, too");
    })
    .await;
}

#[tokio::test]
async fn the_last_page_has_no_next_one() {
    on_each_database(async |library| {
        for _ in 0..4 {
            library.add(a_book()).await;
        }
        for (limit, sizes) in [(1, &[1, 1, 1, 1][..]), (2, &[2, 2]), (3, &[3, 1]), (4, &[4]), (5, &[4])] {
            let pages = pages(&library, &format!("/books?limit={limit}")).await;
            let found: Vec<usize> = pages.iter().map(|page| page.each("id").len()).collect();
            assert_eq!(found, sizes, "{limit} a page");
        }
    })
    .await;
}

#[tokio::test]
async fn paging_goes_on_while_the_library_changes() {
    on_each_database(async |library| {
        let mut books = Vec::new();
        for _ in 0..6 {
            books.push(library.add(a_book()).await["id"].clone());
        }
        let path = |book: &Value| format!("/books/{}", book.as_str().unwrap());
        let first = library.member().get("/books?limit=2").await.is(200);
        library.admin().delete(&path(&books[1])).await.is(204);
        library.admin().delete(&path(&books[2])).await.is(204);
        books.push(library.add(a_book()).await["id"].clone());
        let rest = pages(&library, &first.next().unwrap()).await;
        assert_eq!(ids(&rest), books[3..], "no removed book is listed, all others are, and the new one is last");

        let next = first.next().unwrap();
        for book in &books[3..] {
            library.admin().delete(&path(book)).await.is(204);
        }
        let empty = library.member().get(&next).await.is(200);
        assert_eq!((empty.json(), empty.next()), (json!([]), None));
        assert_eq!(empty.header("x-total-count"), "1", "an empty page has the total, too");
    })
    .await;
}

#[tokio::test]
async fn a_cursor_belongs_to_one_order() {
    on_each_database(async |library| {
        for _ in 0..3 {
            library.add(a_book()).await;
        }
        let next = library.member().get("/books?limit=1&sort=title").await.next().unwrap();
        for other in ["sort=-title", "sort=author", "sort=year"] {
            let answer = library.member().get(&next.replace("sort=title", other)).await;
            assert_eq!(answer.problem(422, "validation_failed").wrong_fields(), ["cursor"], "{other}");
        }
    })
    .await;
}

#[tokio::test]
async fn books_are_listed_as_they_came_whatever_the_clocks_said() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        let late = library.add(a_book()).await["id"].clone();
        // The id of a book that an instance with a slow clock added.
        let early = "01000000-0000-7000-8000-000000000000";
        let book = library.add(a_book()).await["id"].clone();
        database.execute(&format!("UPDATE books SET id = '{early}' WHERE id = '{}'", book.as_str().unwrap())).await;
        database.execute("UPDATE catalogue SET revision = revision + 1").await;
        assert_eq!(library.member().get("/books").await.each("id"), [late, json!(early)]);
    })
    .await;
}
