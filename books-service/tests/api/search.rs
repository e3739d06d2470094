//! The results of searches, compared with a search in memory and with the latest writes.

use std::collections::BTreeSet;
use std::fmt::Write;

use books_service::app::{MIGRATIONS, open};
use books_service::books::{Book, Listing, fold, rekey};
use serde_json::{Value, json};
use shared_service::Total;
use shared_service::database::{self, StoreError};
use uuid::Uuid;

use crate::library::{Database, Library, book_with, on_each};
use crate::transfer::import;

const BOOKS: usize = 20_000;
const QUERIES: usize = 10_000;
const PARTS: [&str; 24] = [
    "an", "ber", "cé", "dor", "el", "fi", "gra", "hø", "is", "jan", "ka", "lo", "mün", "na", "o'", "pre", "стра", "ру",
    "ste", "100%", "v_", "wo", "\\x", "紅樓",
];

/// A generator of pseudorandom numbers, which are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn words(&mut self, most: usize) -> String {
        let mut words = String::new();
        for _ in 0..=self.below(most) {
            for _ in 0..=self.below(3) {
                words.push_str(PARTS[self.below(PARTS.len())]);
            }
            words.push(' ');
        }
        words.trim().to_owned()
    }

    /// A part of `word`, of three characters or more.
    fn part_of(&mut self, word: &str) -> Option<String> {
        let word: Vec<char> = word.chars().collect();
        let start = self.below(word.len().checked_sub(2).filter(|starts| *starts > 0)?);
        let length = 3 + self.below(word.len() - start - 2);
        Some(word[start..start + length].iter().collect())
    }
}

/// The folded texts of all books, and their years.
struct Memory(Vec<(String, String, i64)>);

impl Memory {
    /// The indexes of the books that `listing` finds, in the order in which the books were added.
    fn search(&self, listing: &Listing) -> Vec<usize> {
        let is_match = |(text, title, year): &(String, String, i64)| {
            listing.words.iter().all(|word| text.contains(word))
                && listing.title.as_ref().is_none_or(|part| title.contains(part))
                && listing.year_from.is_none_or(|from| *year >= from)
                && listing.year_to.is_none_or(|to| *year <= to)
        };
        (0..self.0.len()).filter(|&number| is_match(&self.0[number])).collect()
    }
}

/// A search for one to eight words of one or two books, sometimes with a part of a title and a range of years.
fn listing(random: &mut Random, memory: &Memory) -> Listing {
    let mut words = BTreeSet::new();
    let (one, other, most) = (random.below(BOOKS), random.below(BOOKS), *random.one(&[1, 2, 8]));
    for _ in 0..=random.below(most) {
        let from = &memory.0[if random.below(9) == 0 { other } else { one }];
        let all: Vec<&str> = from.0.split(' ').collect();
        let word = *random.one(&all);
        words.extend(random.part_of(word));
    }
    let title = memory.0[one].1.clone();
    let title = (random.below(5) == 0).then(|| random.part_of(&title)).flatten();
    let year = (random.below(4) == 0).then(|| memory.0[one].2 - 20);
    Listing {
        words,
        author: None,
        title: title.map(|title| title.trim().to_owned()).filter(|title| !title.is_empty()),
        country: None,
        language: None,
        year_from: year,
        year_to: year.map(|year| year + 40),
        order: (*random.one(&["added", "-added", "-year"])).parse().unwrap(),
        limit: *random.one(&[5, 20, 200]),
        after: None,
    }
}

/// Many books as lines for an import, and the same books in memory.
fn shelf() -> (String, Memory) {
    let (mut random, mut lines, mut memory) = (Random(88_172_645_463_325_252), String::new(), Memory(Vec::new()));
    for number in 0..BOOKS {
        let [author, title, country, language] = [2, 6, 1, 1].map(|most| random.words(most));
        let year = i64::try_from(1500 + random.below(500)).unwrap();
        let text = [&author, &title, &country, &language].map(|text| fold(text)).join(" ");
        memory.0.push((text, fold(&title), year));
        let book = json!({"author": author, "title": title, "country": country, "language": language, "year": year,
            "pages": number + 1});
        writeln!(lines, "{book}").unwrap();
    }
    (lines, memory)
}

#[tokio::test]
#[ignore = "long: ./test --long runs it"]
async fn random_searches_find_what_is_there() {
    let (lines, memory) = shelf();
    let mut random = Random(6_364_136_223_846_793_005);
    let listings: Vec<Listing> = (0..QUERIES).map(|_| listing(&mut random, &memory)).collect();
    let expected: Vec<Vec<usize>> = listings.iter().map(|listing| memory.search(listing)).collect();
    let found = expected.iter().filter(|found| !found.is_empty()).count();
    assert!((QUERIES / 2..QUERIES).contains(&found), "{found} queries find books");
    on_each(async |database| {
        let books = open(&database.url).await.unwrap();
        books.import(lines.as_bytes(), |_| ()).await.unwrap();
        for (listing, expected) in listings.iter().zip(&expected) {
            // On a busy machine, some searches exceed their time limit of a second.
            let page = loop {
                if let Ok((page, _)) = books.search(listing, None).await {
                    break page;
                }
            };
            let bound = if listing.has_filter() { 10_000 } else { i64::MAX };
            assert_eq!(page.total, Total::bounded(i64::try_from(expected.len()).unwrap(), bound), "{listing:?}");
            let items: Vec<usize> = page.items.iter().map(number).collect();
            assert!(items.iter().all(|item| expected.contains(item)), "{listing:?}");
            // The sort key without the ids, by which books of one year are ordered.
            let key = |number: &usize| match listing.order.to_string().as_str() {
                "added" => i64::try_from(*number).unwrap(),
                "-added" => -i64::try_from(*number).unwrap(),
                _ => -memory.0[*number].2,
            };
            let mut expected: Vec<i64> = expected.iter().map(key).collect();
            expected.sort_unstable();
            expected.truncate(usize::try_from(listing.limit).unwrap());
            assert_eq!(items.iter().map(key).collect::<Vec<_>>(), expected, "{listing:?}");
        }
    })
    .await;
}

fn number(book: &Book) -> usize {
    usize::try_from(book.details.pages.0 - 1).unwrap()
}

#[tokio::test]
async fn search_follows_each_write() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        let admin = library.admin();
        let titles = async |q: &str| library.member().get(&format!("/books?q={q}")).await.is(200).each("title");
        let book = library.add(book_with(&json!({"title": "Wuthering Heights"}))).await;
        let path = format!("/books/{}", book["id"].as_str().unwrap());
        assert_eq!(titles("uthering").await, ["Wuthering Heights"]);
        admin.patch(&path, &json!({"title": "Withering Heights"})).await.is(200);
        assert_eq!((titles("wuther").await, titles("wither").await), (vec![], vec![json!("Withering Heights")]));
        admin.patch(&path, &json!({"pages": 7})).await.is(200);
        admin.put(&path, &book_with(&json!({"title": "Emma"}))).await.is(200);
        assert_eq!((titles("wither").await, titles("emm").await), (vec![], vec![json!("Emma")]));
        let id = Uuid::now_v7();
        let line = |title| book_with(&json!({"id": id.to_string(), "title": title})).to_string();
        import(database, &line("Persuasion"));
        import(database, &line("Another Persuasion, with a known id"));
        assert_eq!((titles("suasion").await, titles("another").await), (vec![json!("Persuasion")], vec![]));
        admin.delete(&path).await.is(204);
        assert_eq!(titles("emm").await, [json!(null); 0]);
        check_index(database).await;
    })
    .await;
}

/// Fails if the index of `SQLite` differs from the books. Postgres maintains its index itself.
pub async fn check_index(database: &Database) {
    if database.file().is_some() {
        database.execute("INSERT INTO book_text (book_text, rank) VALUES ('integrity-check', 1)").await;
    }
}

#[tokio::test]
async fn word_of_two_letters_is_found_at_the_beginning_of_a_word() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        for title in ["Emma", "L'Œuvre", "A _ 9%", "紅樓夢"] {
            library
                .add(book_with(&json!({"title": title, "author": "Zz Top", "country": "Here", "language": "Qua"})))
                .await;
        }
        for (q, expected) in [
            ("em", &["Emma"][..]),
            ("mm", &[]),
            ("E+emm", &["Emma"]),
            ("a", &["A _ 9%"]),
            ("9", &["A _ 9%"]),
            ("_", &["A _ 9%"]),
            ("%25", &[]),
            ("L'", &["L'Œuvre"]),
            ("%E7%B4%85%E6%A8%93", &["紅樓夢"]),
            ("%E6%A8%93%E5%A4%A2", &[]),
            ("zz+t+h+q+em", &["Emma"]),
        ] {
            let answer = library.member().get(&format!("/books?q={q}")).await.is(200);
            assert_eq!(answer.each("title"), expected, "{q}");
            assert_eq!(answer.header("x-total-count"), expected.len().to_string(), "{q}");
        }
    })
    .await;
}

#[tokio::test]
async fn operators_of_the_index_are_plain_text() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        for title in ["Say \"Hello\"", "text:near(one*, ^two)", "AND OR NOT", "100%_\\sure"] {
            library.add(book_with(&json!({"title": title}))).await;
        }
        for (q, expected) in [
            ("%22hel", &["Say \"Hello\""][..]),
            ("lo%22", &["Say \"Hello\""]),
            ("%22%22%22", &[]),
            ("%22", &["Say \"Hello\""]),
            ("hel*", &[]),
            ("one*,", &["text:near(one*, ^two)"]),
            ("^tw", &["text:near(one*, ^two)"]),
            ("text:near", &["text:near(one*, ^two)"]),
            ("text:hello", &[]),
            ("near(one", &["text:near(one*, ^two)"]),
            ("and+or+not", &["AND OR NOT"]),
            ("not+hello", &[]),
            ("%25_%5C", &["100%_\\sure"]),
            ("_%25%5C", &[]),
            ("0__", &[]),
            ("%5Csure", &["100%_\\sure"]),
            ("%5C%5C%5C", &[]),
        ] {
            let answer = library.member().get(&format!("/books?q={q}")).await.is(200);
            assert_eq!(answer.each("title"), expected, "{q}");
            assert_eq!(answer.header("x-total-count"), expected.len().to_string(), "{q}");
        }
        for part in ["y+%22He", "%25_%5Cs"] {
            let answer = library.member().get(&format!("/books?title={part}&yearFrom=1")).await.is(200);
            assert_eq!(answer.each("title").len(), 1, "{part}");
        }
    })
    .await;
}

/// The SQL that adds `books` books with this title.
fn many(books: i64, title: &str) -> String {
    format!(
        "INSERT INTO books (id, author, author_key, country, country_key, language, language_key, title, title_key, \
         pages, year, added, version) WITH RECURSIVE numbers (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM numbers \
         WHERE x < {books}) SELECT '00000000-0000-4000-8000-' || (100000000000 + x), 'A', 'a', 'C', 'c', 'L', 'l', \
         '{title}', '{title}', 1, x % 100, x, 1 FROM numbers"
    )
}

#[tokio::test]
async fn total_above_ten_thousand_is_a_lower_bound() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        database.execute(&many(10_001, "same")).await;
        database.execute("UPDATE catalogue SET books = 10001, revision = 1").await;
        let get = async |query: &str| library.member().get(&format!("/books?limit=2&{query}")).await.is(200);
        for query in ["q=same", "title=ame", "yearFrom=0", "q=same&yearTo=99&sort=-title", "author=a"] {
            let answer = get(query).await;
            assert_eq!(answer.header("x-total-count-at-least"), "10000", "{query}");
            assert!(answer.header("x-total-count").is_empty(), "{query}");
            assert_eq!(answer.each("title").len(), 2, "{query}");
            let next = library.member().get(&answer.next().unwrap()).await.is(200);
            assert_eq!(next.each("title").len(), 2, "{query}");
        }
        for (query, total) in [("", "10001"), ("yearTo=97", "9801"), ("q=same&yearTo=0", "100"), ("q=other", "0")] {
            let answer = get(query).await;
            assert_eq!(answer.header("x-total-count"), total, "{query}");
            assert!(answer.header("x-total-count-at-least").is_empty(), "{query}");
        }
    })
    .await;
}

/// Adds `books` books, of which the last `found` are from Zimbabwe; returns the id of the book with this number.
async fn fill(database: &Database, books: u32, found: u32) -> impl Fn(u32) -> Value {
    let country = format!("CASE WHEN x > {} THEN 'zimbabwe' ELSE 'a' END", books - found);
    let sql = many(books.into(), "T").replace("'C', 'c'", &format!("{country}, {country}"));
    database.execute(&sql).await;
    database.execute(&format!("UPDATE catalogue SET books = {books}, revision = {books}")).await;
    |number| format!("00000000-0000-4000-8000-{}", 100_000_000_000 + u64::from(number)).into()
}

#[tokio::test]
#[ignore = "long: ./test --long runs it"]
async fn many_matches_at_the_end_of_an_order_are_listed() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        let id = fill(database, 36_000, 11_000).await;
        let forwards: Vec<_> = (25_001..=36_000).map(&id).collect();
        let backwards: Vec<_> = forwards.iter().rev().cloned().collect();
        for (query, expected) in [
            ("q=zimbabwe&sort=country", &forwards),
            ("q=zimbabwe&sort=-country", &backwards),
            ("country=zimb&yearFrom=0", &forwards),
            ("country=zi&sort=-added", &backwards),
        ] {
            let (mut ids, mut next, mut refused) = (Vec::new(), Some(format!("/books?limit=900&{query}")), 0);
            while let Some(path) = next {
                let page = library.member().get(&path).await;
                // On a busy machine, some searches exceed their time limit of a second.
                refused += usize::from(page.status == 503);
                if page.status == 503 && refused < 5 {
                    next = Some(path);
                    continue;
                }
                let page = page.is(200);
                assert_eq!(page.header("x-total-count-at-least"), "10000", "{path}");
                ids.extend(page.each("id"));
                next = page.next();
            }
            assert!(ids == *expected, "{query}: {} books", ids.len());
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "long: ./test --long runs it"]
async fn many_matches_at_the_end_of_a_large_catalogue_are_found_in_time() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        let id = fill(database, 400_000, 20_000).await;
        // On a busy machine, some searches exceed their time limit of a second.
        for attempt in 1.. {
            let page = library.member().get("/books?q=zimbabwe&limit=40&sort=country").await;
            if page.status == 200 {
                assert_eq!(page.each("id"), (380_001..=380_040).map(&id).collect::<Vec<_>>());
                break;
            }
            assert!(attempt < 5, "{page:?}");
        }
    })
    .await;
}

/// The test deletes a row without a new revision: only a total that is counted again shows the deletion.
#[tokio::test]
async fn total_of_a_filter_is_counted_once_for_each_revision() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        for _ in 0..3 {
            library.add(book_with(&json!({"title": "Emma"}))).await;
        }
        let total = async |query: &str| {
            let answer = library.member().get(&format!("/books?{query}")).await.is(200);
            (answer.header("x-total-count").to_owned(), answer.each("title").len())
        };
        assert_eq!(total("q=emm&limit=2").await, ("3".to_owned(), 2));
        database.execute("DELETE FROM books WHERE added = (SELECT MAX(added) FROM books)").await;
        assert_eq!(total("q=emm").await, ("3".to_owned(), 2), "another page of a known filter");
        assert_eq!(total("q=emma").await, ("2".to_owned(), 2), "another filter");
        library.add(book_with(&json!({"title": "Emma"}))).await;
        assert_eq!(total("q=emm&limit=2").await, ("3".to_owned(), 2));
        assert_eq!(total("q=emm&sort=-title").await, ("3".to_owned(), 3));
        library.add(book_with(&json!({"title": "Emma"}))).await;
        assert_eq!(total("q=emm&sort=-title").await, ("4".to_owned(), 4));
    })
    .await;
}

#[tokio::test]
async fn database_without_the_index_gets_it_and_older_programs_refuse_it() {
    on_each(async |database| {
        let older = || database::open(&database.url, &MIGRATIONS[..3], &[(2, rekey)]);
        older().await.unwrap().close().await;
        database.execute(&many(300, "the same title")).await;
        database.execute("UPDATE books SET added = 7 WHERE added < 7").await;
        let library = Library::start(&database.url, []).await;
        let member = library.member();
        let answer = member.get("/books?q=itle+sam&limit=3").await.is(200);
        assert_eq!(answer.header("x-total-count"), "300");
        assert_eq!(answer.json(), member.get("/books?limit=3").await.is(200).json());
        check_index(database).await;
        assert!(matches!(older().await, Err(StoreError::Newer { version: 4 })));
    })
    .await;
}

#[tokio::test]
async fn index_without_positions_is_replaced() {
    on_each(async |database| {
        database::open(&database.url, &MIGRATIONS[..4], &[(2, rekey)]).await.unwrap().close().await;
        database.execute(&many(300, "the same title")).await;
        let library = Library::start(&database.url, []).await;
        library.add(book_with(&json!({"title": "Not the same title"}))).await;
        for (q, total) in [("itle+sam", "301"), ("tit+not", "1"), ("title+tles", "0")] {
            let answer = library.member().get(&format!("/books?q={q}&limit=1")).await.is(200);
            assert_eq!(answer.header("x-total-count"), total, "{q}");
        }
        check_index(database).await;
    })
    .await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
async fn postgres_role_without_the_right_is_told_what_an_administrator_runs() {
    let database = Database::postgres().await;
    let role = format!("reader_{}", Uuid::new_v4().simple());
    database.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'plain'")).await;
    database.execute(&format!("GRANT ALL ON SCHEMA public TO {role}")).await;
    let (_, place) = database.url.split_once('@').unwrap();
    let error = open(&format!("postgres://{role}:plain@{place}")).await.err().unwrap().to_string();
    assert!(
        error.contains("let an administrator install it and run CREATE EXTENSION pg_trgm in the database"),
        "{error}"
    );
    database.execute("CREATE EXTENSION pg_trgm").await;
    open(&format!("postgres://{role}:plain@{place}")).await.unwrap();
    database.execute(&format!("DROP OWNED BY {role}")).await;
    database.execute(&format!("DROP ROLE {role}")).await;
    database.remove().await;
}
