//! Import and export of all books with the program, while a service is running.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::library::{Database, Library, a_book, book_with, on_each};
use crate::search::check_index;

fn command(database: &Database, arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_books-service"));
    program.args(arguments).env_clear().env("BOOKS_DATABASE_URL", &database.url).current_dir(std::env::temp_dir());
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    program
}

fn run(database: &Database, arguments: &[&str], input: &str) -> Output {
    let mut child = command(database, arguments).spawn().unwrap();
    // A command that needs no input may have ended by now.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

fn export(database: &Database) -> String {
    let Output { status, stdout, stderr } = run(database, &["export"], "");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

pub fn import(database: &Database, lines: &str) -> String {
    let Output { status, stdout, stderr } = run(database, &["import", "-"], lines);
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[tokio::test]
async fn books_move_from_any_database_to_any_other_and_back() {
    on_each(async |from| {
        let library = Library::start(&from.url, [("DEMO_DATA", "true")]).await;
        let admin = library.admin();
        for number in 0..20 {
            let title = format!("Ünï \"{}\" \u{a0} {number}", 20 - number);
            let body =
                json!({"author": "A", "country": "C", "language": "L", "pages": 1, "title": title, "year": -800});
            admin.post("/books", &body).await;
        }
        let books = admin.get("/books").await.json();
        let id = books[5]["id"].as_str().unwrap();
        admin.patch(&format!("/books/{id}"), &json!({"pages": 2})).await;
        let tag = admin.get(&format!("/books/{id}")).await.header("etag").to_owned();
        let lines = export(from);
        assert_eq!(lines.lines().count(), 23);

        on_each(async |to| {
            let library = Library::start(&to.url, []).await;
            let member = library.member();
            assert_eq!(member.get("/books").await.json(), json!([]), "the empty list is cached");
            assert_eq!(import(to, &lines), "23 added; 0 were there already and are as they were\n");
            assert_eq!(member.get("/books").await.json(), library_of(&lines), "listed at once, in the same order");
            assert_eq!(member.get(&format!("/books/{id}")).await.header("etag"), tag);
            assert_eq!(export(to), lines, "the export equals the import byte for byte");
            assert_eq!(import(to, &lines), "0 added; 23 were there already and are as they were\n");
            assert_eq!(export(to), lines);
            let again = Library::start(&to.url, [("DEMO_DATA", "true")]).await;
            assert_eq!(again.member().get("/books").await.json().as_array().unwrap().len(), 23, "no second demo");
            let body = json!({"author": "A", "country": "C", "language": "L", "pages": 1, "title": "Last", "year": 1});
            library.admin().post("/books", &body).await;
            assert_eq!(member.get("/books").await.json()[23]["title"], "Last");
        })
        .await;
    })
    .await;
}

/// The pipe of the export is full after its first books.
#[tokio::test]
async fn export_to_a_slow_reader_holds_no_transaction_and_a_closed_pipe_is_no_failure() {
    on_each(async |database| {
        let title = "x".repeat(250);
        let lines: String = (0..600).map(|_| book_with(&json!({"title": title})).to_string() + "\n").collect();
        import(database, &lines);
        let mut child = command(database, &["export"]).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut String::new()).unwrap();
        if database.file().is_none() {
            let open =
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
            sleep(Duration::from_millis(200)).await;
            assert_eq!(database.count(open).await, 0);
        }
        drop(reader);
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    })
    .await;
}

#[tokio::test]
async fn import_whose_result_is_not_read_is_no_failure() {
    let database = Database::sqlite();
    let mut child = command(&database, &["import", "-"]).spawn().unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(a_book().to_string().as_bytes()).unwrap();
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!((status.code(), &*String::from_utf8_lossy(&stderr)), (Some(0), ""));
    assert_eq!(export(&database).lines().count(), 1);
    database.remove().await;
}

#[tokio::test]
async fn texts_and_numbers_come_back_as_they_were_imported() {
    let titles = [
        "\\",
        "\\u0000",
        "\"'\"",
        "007",
        "1e9",
        "null",
        "true",
        "[1]",
        "{\"a\": 1}",
        "$1",
        "?",
        "%_!",
        "\u{fffd}",
        "📚",
    ];
    let line = |number: usize| {
        let id = format!("01890a5d-ac96-774b-bcce-{number:012}");
        let (title, version) = (titles[number % titles.len()], (1_i64 << 53) - i64::try_from(number).unwrap());
        book_with(&json!({"id": id, "title": title, "author": title, "year": -10_000, "version": version})).to_string()
    };
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        let (some, all): (Vec<_>, Vec<_>) = ((0..14).map(line).collect(), (0..1_200).map(line).collect());
        assert_eq!(import(database, &some.join("\n")), "14 added; 0 were there already and are as they were\n");
        assert_eq!(import(database, &all.join("\n")), "1186 added; 14 were there already and are as they were\n");
        let books = |lines: &str| lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
        assert_eq!(books(&export(database)), books(&all.join("\n")), "in the order of the file");
        assert_eq!(library.member().get("/books?limit=1").await.header("x-total-count"), "1200");
    })
    .await;
}

#[tokio::test]
async fn restored_book_has_another_etag_at_the_same_version() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        let (admin, book) = (library.admin(), library.add(a_book()).await);
        let path = format!("/books/{}", book["id"].as_str().unwrap());
        let old = export(database);
        let first = admin.patch(&path, &json!({"pages": 2})).await.is(200).header("etag").to_owned();
        admin.delete(&path).await.is(204);
        import(database, &old);
        let second = admin.patch(&path, &json!({"pages": 3})).await.is(200).header("etag").to_owned();
        assert_ne!(first, second);
        admin.clone().with("If-None-Match", &first).get(&path).await.is(200);
        let change = json!({"pages": 4});
        admin.clone().with("If-Match", &first).patch(&path, &change).await.problem(412, "precondition_failed");
        admin.delete(&path).await.is(204);
        import(database, &old);
        admin.patch(&path, &json!({"pages": 3})).await.is(200);
        admin.clone().with("If-None-Match", second).get(&path).await.is(304);
    })
    .await;
}

fn library_of(lines: &str) -> Value {
    let book = |line| {
        let mut book: Value = serde_json::from_str(line).unwrap();
        book.as_object_mut().unwrap().remove("version");
        book
    };
    lines.lines().map(book).collect()
}

/// Runs an import that must fail; returns its error.
fn refused(database: &Database, file: &str) -> String {
    let Output { status, stderr, .. } = run(database, &["import", "-"], file);
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{stderr}");
    stderr
}

#[tokio::test]
async fn books_without_id_come_from_any_format() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        let book = |title: &str| book_with(&json!({"title": title}));
        let rows = |titles: [&str; 2]| {
            let row = |title| format!("United Kingdom;English;226;\"{title}\";1813;;Jane Austen");
            format!("\u{feff}country;language;pages;title;year;id;author\r\n{}\r\n", titles.map(row).join("\r\n"))
        };
        let files = [
            format!("\u{feff}{}\n{}\n", book("a"), book("b")),
            serde_json::to_string_pretty(&[book("c"), book("d")]).unwrap(),
            rows(["e; \"\"e\"\"", "f"]),
            book("g").to_string().replace("226", "2.26e2").replace("1813", "\"1813\"") + "\n" + &book("h").to_string(),
        ];
        for file in files {
            assert_eq!(import(database, &file), "2 added; 0 were there already and are as they were\n", "{file}");
        }
        let books = library.member().get("/books").await;
        assert_eq!(books.each("title"), ["a", "b", "c", "d", "e; \"e\"", "f", "g", "h"]);
        for mut one in books.json().as_array().unwrap().clone() {
            one.as_object_mut().unwrap().remove("id").unwrap();
            assert_eq!(one, book(one["title"].as_str().unwrap()));
        }
        for nothing in ["", "[]", "title,author\n"] {
            assert_eq!(import(database, nothing), "0 added; 0 were there already and are as they were\n");
        }
    })
    .await;
}

#[tokio::test]
async fn two_books_with_one_id_are_refused() {
    on_each(async |database| {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let book =
            |title: &str, version: i64| book_with(&json!({"id": id, "title": title, "version": version})).to_string();
        let csv = "id,author,country,language,pages,title,year\n";
        let row = |pages| format!("{id},A,C,L,{pages},T,1\n");
        for file in [
            format!("{}\n{}", book("T", 1), book("U", 1)),
            format!("{}\n{}", book("T", 1), book("T", 2)),
            format!("[{},\n{}]", book("T", 1), book("U", 1)),
        ] {
            let told = refused(database, &file);
            assert!(told.contains("line 2: id stands in line 1 already, with another book"), "{told}");
        }
        let told = refused(database, &format!("{csv}{}{}{}", row(1), row(2), row(3)));
        for line in ["because of 2 of the lines", "line 3: id stands in line 2", "line 4: id stands in line 2"] {
            assert!(told.contains(line), "{line}: {told}");
        }
        assert_eq!(export(database), "");
        let twice = format!("{}\n{}", book("T", 1), book("T", 1));
        assert_eq!(import(database, &twice), "1 added; 0 were there already and are as they were\n");
    })
    .await;
}

#[tokio::test]
async fn file_that_is_no_list_of_books_imports_nothing() {
    on_each(async |database| {
        let good = a_book().to_string();
        for (file, why) in [
            ("Pride and Prejudice", "line 1: must begin with { or [ (JSON), or with a header"),
            ("id,title,title\n", "line 1: the header must name \"title\" once"),
            ("title,author\nEmma,\n", "line 2: author is required; country is required; language is required"),
            ("title,author\nEmma\n", "line 2: must have 2 values"),
            (&format!("[{good},\n"), "line 2: the array has no end"),
            (&format!("[{good}]\n{good}"), "line 2: text follows the end of the array"),
            (&good.replace('{', "{\"pages\":1,"), "line 1: must have each name once"),
            (&good.replace("226", "226.5"), "line 1: pages must be an integer"),
            (&good.replace("226", "\"many\""), "line 1: pages must be an integer"),
            (&good.replace("226", "1e7"), "line 1: pages must be from 1 to 1000000"),
            (&good.replace("Pride", "\u{202e}"), "line 1: title must not contain directional overrides"),
            (&good.replace("and", "\u{2028}"), "line 1: title must not contain line breaks"),
            (&"{}\n".repeat(150), "because of 150 of the lines\nline 1: author is required"),
            (&"{}\n".repeat(150), "\nand 130 more"),
        ] {
            let told = refused(database, file);
            assert!(told.contains("nothing was imported") && told.contains(why), "{why}: {told}");
        }
        assert_eq!(export(database), "");
    })
    .await;
}

#[tokio::test]
async fn a_line_that_is_no_book_imports_nothing() {
    on_each(async |database| {
        let good = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","author":"A","country":"C","language":"L","pages":1,"title":"T","year":1}"#;
        let bad = [
            ("{", "EOF"),
            ("[]", "invalid"),
            (&good.replace("01890a5d", "1890A5D"), "not the id of a book"),
            (&good.replace(r#""title":"T","#, ""), "title"),
            (&good.replace(r#""T""#, r#"" ""#), "title must not be blank"),
            (&good.replace(r#""pages":1"#, r#""pages":0"#), "pages must be from 1"),
            (&good.replace(r#""year":1"#, r#""year":10000"#), "year must be from -10000 to 9999"),
            (&good.replace(r#""year":1"#, r#""year":1,"version":0"#), "version must be from 1"),
            (&good.replace(r#""year":1"#, r#""year":1,"version":9007199254740993"#), "version must be from 1"),
        ];
        let lines: Vec<&str> = bad.iter().map(|(line, _)| *line).collect();
        let Output { status, stderr, .. } = run(database, &["import", "-"], &format!("{good}\n\n{}\n", lines.join("\n")));
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("nothing was imported, because of 9 of the lines"), "{stderr}");
        for (number, (_, why)) in bad.iter().enumerate() {
            let told = stderr.lines().find(|line| line.starts_with(&format!("line {}: ", number + 3)));
            assert!(told.is_some_and(|told| told.contains(why)), "{why}: {stderr}");
        }
        assert_eq!(export(database), "");
    })
    .await;
}

/// The lines of `count` books.
fn many(count: u32) -> Vec<String> {
    let book = |number: u32| {
        let id = format!("01890a5d-ac96-774b-bcce-{number:012}");
        book_with(&json!({"id": id, "title": format!("Title {number}"), "year": number % 3000})).to_string()
    };
    (0..count).map(book).collect()
}

/// The number of indexes of the table `books`.
async fn indexes(database: &Database) -> i64 {
    let postgres = "SELECT COUNT(*) FROM pg_indexes WHERE tablename = 'books' AND schemaname = current_schema()";
    let sqlite = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'index' AND tbl_name = 'books'";
    database.count(if database.file().is_some() { sqlite } else { postgres }).await
}

#[tokio::test]
async fn large_file_fills_an_empty_catalogue_with_all_its_indexes() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        let (before, mut lines) = (indexes(database).await, many(12_345));
        lines.insert(11_000, lines[3].clone());
        let file = lines.join("\n");
        assert_eq!(import(database, &file), "12345 added; 0 were there already and are as they were\n");
        assert_eq!(indexes(database).await, before);
        check_index(database).await;
        if let Some(file) = database.file() {
            let log = file.with_extension("db-wal").metadata().map_or(0, |log| log.len());
            assert!(log < 1 << 20, "{log} bytes are left in the write-ahead log");
        } else {
            let known = "SELECT CAST(reltuples AS BIGINT) FROM pg_class WHERE oid = CAST('books' AS regclass)";
            assert_eq!(database.count(known).await, 12_345, "the planner has statistics on the table");
        }
        let last = library.member().get("/books?limit=1&sort=-title").await;
        assert_eq!(last.each("title"), ["Title 9999"]);
        assert_eq!(last.header("x-total-count"), "12345");
        assert_eq!(import(database, &file), "0 added; 12345 were there already and are as they were\n");
        let admin = library.admin();
        admin.post("/books", &book_with(&json!({"title": "Zero"}))).await;
        assert_eq!(library.member().get("/books?limit=1&sort=-title").await.each("title"), ["Zero"]);
        assert_eq!(library.member().get("/books?q=zero").await.each("title"), ["Zero"]);
        check_index(database).await;
    })
    .await;
}

#[tokio::test]
async fn large_file_with_a_bad_line_imports_nothing() {
    on_each(async |database| {
        Library::start(&database.url, []).await;
        let (before, good) = (indexes(database).await, many(12_000));
        for (line, bad, why) in [
            (0, "{", "line 1: is not JSON"),
            (11_999, &good[5].replace("Title", "Other"), "line 12000: id stands in line 6 already, with another book"),
        ] {
            let mut lines = good.clone();
            bad.clone_into(&mut lines[line]);
            lines[11_000] = "{}".to_owned();
            let told = refused(database, &lines.join("\n"));
            assert!(told.contains("because of 2 of the lines") && told.contains(why), "{told}");
            assert!(told.contains("line 11001: author is required"), "{told}");
        }
        assert_eq!((indexes(database).await, export(database)), (before, String::new()));
    })
    .await;
}
