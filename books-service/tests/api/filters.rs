use serde_json::{Value, json};

use crate::library::{Database, Library, on_each_database};

/// Title, author, country, language, pages, year.
const SHELF: [(&str, &str, &str, &str, i64, i64); 8] = [
    ("Things Fall Apart", "Chinua Achebe", "Nigeria", "English", 209, 1958),
    ("Fairy tales", "Hans Christian Andersen", "Denmark", "Danish", 784, 1836),
    ("The Divine Comedy", "Dante Alighieri", "Italy", "Italian", 928, 1315),
    ("Преступление и наказание", "Фёдор Достоевский", "Россия", "русский", 551, 1866),
    ("Die Straße", "Günter Ærø", "Österreich", "Deutsch", 300, 1958),
    ("100% wool_en", "Ann_a!", "N%geria", "English", 12, 0),
    ("Ὀδύσσεια", "Ὅμηρος", "Greece", "Greek", 374, -800),
    ("Le Pe\u{300}re Goriot", "Honoré de Balzac", "Ｆｒａｎｃｅ", "franc\u{327}ais", 443, 1835),
];

async fn fill(library: &Library) {
    for (title, author, country, language, pages, year) in SHELF {
        let book = json!({"title": title, "author": author, "country": country, "language": language,
            "pages": pages, "year": year});
        library.add(book).await;
    }
}

/// The indexes in [`SHELF`] of the books that a list shows.
async fn found(library: &Library, query: &[(&str, &str)]) -> Vec<usize> {
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let answer = library.member().get(&format!("/books?{}", pairs.join("&"))).await.is(200);
    let titles = answer.each("title");
    assert_eq!(answer.header("x-total-count"), titles.len().to_string());
    let number = |title: &Value| SHELF.iter().position(|book| title == book.0).unwrap();
    titles.iter().map(number).collect()
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02x}"))
}

/// A query, the books it finds, why.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [usize], &'a str);

#[tokio::test]
async fn a_list_is_filtered() {
    on_each_database(async |library| {
        fill(&library).await;
        let everything: Vec<usize> = (0..SHELF.len()).collect();
        let cases: &[Case] = &[
            (&[], &everything, "no filter"),
            (&[("title", "")], &everything, "an empty field of a form"),
            (&[("q", "  \u{3000}"), ("author", " ")], &everything, "a blank one"),
            (&[("colour", "red")], &everything, "a parameter that nobody knows"),
            (&[("title", "fAIRY")], &[1], "a part of a title, in another case"),
            (&[("author", "an")], &[1, 2, 5], "a part of an author"),
            (&[("author", " dante alighieri ")], &[2], "white space around it does not count"),
            (&[("country", "NIGERIA")], &[0], "a country"),
            (&[("language", "english")], &[0, 5], "a language"),
            (&[("language", "english"), ("country", "nigeria")], &[0], "both"),
            (&[("author", "english")], &[], "another field's text"),
            (&[("author", "достоевский")], &[3], "Cyrillic, in another case"),
            (&[("language", "РУССКИЙ")], &[3], "and the other way round"),
            (&[("title", "STRASSE")], &[4], "a letter that has two capitals"),
            (&[("author", "ÆRØ")], &[4], "letters beyond ASCII"),
            (&[("country", "österREICH")], &[4], "an umlaut"),
            (&[("author", "ὍΜΗΡΟΣ")], &[6], "a final sigma"),
            (&[("q", "ὈΔΎΣ")], &[6], "a sigma that is final only in the query"),
            (&[("title", "%")], &[5], "a wildcard is a character"),
            (&[("title", "_")], &[5], "so is this"),
            (&[("title", "w_ol")], &[], "and it stands for no other"),
            (&[("author", "!")], &[5], "and so is what escapes them"),
            (&[("author", "\\")], &[], "a backslash is nothing special"),
            (&[("country", "N%G")], &[5], "a wildcard within"),
            (&[("q", "dante")], &[2], "one word, in the author"),
            (&[("q", "DANISH")], &[1], "one word, in the language"),
            (&[("q", "comedy italy")], &[2], "two words in two fields"),
            (&[("q", "  italy \u{2003} comedy  ")], &[2], "in any order and spacing"),
            (&[("q", "english apart nigeria achebe")], &[0], "one in each field"),
            (&[("q", "things fall apart chinua achebe nigeria english th")], &[0], "eight words, the most"),
            (&[("q", "goriot pere")], &[7], "words without their accents"),
            (&[("q", "GORIOT PÈRE")], &[7], "words with them, composed and in another case"),
            (&[("q", "pe\u{300}re")], &[7], "and decomposed"),
            (&[("title", "le pere")], &[7], "a title without its accent"),
            (&[("author", "honore")], &[7], "an author without an accent"),
            (&[("author", "hónöre")], &[7], "an author with other accents"),
            (&[("country", "france")], &[7], "letters of full width"),
            (&[("language", "français")], &[7], "a cedilla"),
            (&[("country", "osterreich")], &[4], "an umlaut left out"),
            (&[("author", "gunter aero")], &[4], "letters that have no accent to leave out"),
            (&[("author", "федор")], &[3], "a Cyrillic letter without its dots"),
            (&[("title", "οδυσσεια")], &[6], "Greek without breathings"),
            (&[("author", "\u{301}")], &everything, "an accent alone is as good as blank"),
            (&[("q", "goriot\u{200b} pe\u{ad}re")], &[7], "invisible characters"),
            (&[("q", "comedy denmark")], &[], "one word is missing"),
            (&[("q", "AlighieriThe")], &[], "no word across two fields"),
            (&[("q", "apart' OR '1'='1")], &[], "SQL is text"),
            (&[("yearFrom", "1958")], &[0, 4], "from a year"),
            (&[("yearTo", "0")], &[5, 6], "to a year"),
            (&[("yearFrom", "-800"), ("yearTo", "-800")], &[6], "one year, before the common era"),
            (&[("yearFrom", "1800"), ("yearTo", "1900"), ("q", "fairy")], &[1], "a span and a word"),
        ];
        for (query, expected, why) in cases {
            assert_eq!(found(&library, query).await, *expected, "{why}: {query:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_is_sorted() {
    on_each_database(async |library| {
        fill(&library).await;
        for (sort, expected, why) in [
            ("added", [0, 1, 2, 3, 4, 5, 6, 7], "as they came"),
            ("-added", [7, 6, 5, 4, 3, 2, 1, 0], "the newest first"),
            ("year", [6, 5, 2, 7, 1, 3, 0, 4], "a tie stays in the order of coming"),
            ("-year", [4, 0, 3, 1, 7, 2, 5, 6], "all of it the other way round"),
            ("pages", [5, 0, 4, 6, 7, 3, 1, 2], "numbers, not text"),
            ("-pages", [2, 1, 3, 7, 6, 4, 0, 5], "and back"),
        ] {
            assert_eq!(found(&library, &[("sort", sort)]).await, expected, "{sort}: {why}");
        }
        // Each database has its own order of letters of different scripts, so one language is compared.
        let english = async |sort| found(&library, &[("language", "english"), ("sort", sort)]).await;
        for (sort, expected) in [("title", [5, 0]), ("-title", [0, 5]), ("author", [5, 0]), ("-author", [0, 5])] {
            assert_eq!(english(sort).await, expected, "{sort}");
        }
        for sort in ["author", "country", "language", "title"] {
            let (mut up, down) = (found(&library, &[("sort", sort)]).await, format!("-{sort}"));
            up.reverse();
            assert_eq!(found(&library, &[("sort", &down)]).await, up, "{sort}: both orders are mirrored");
        }
    })
    .await;
}

#[tokio::test]
async fn query_that_is_not_utf_8_is_400_behind_the_authorization() {
    let database = Database::sqlite();
    let library = Library::start(&database.url, []).await;
    for query in ["author=%E9", "q=a%F0%9F", "%FF=1", "author=%ED%A0%80"] {
        library.member().get(&format!("/books?{query}")).await.problem(400, "malformed_query");
        library.nobody().get(&format!("/books?{query}")).await.problem(401, "missing_token");
    }
    for query in ["author=%", "author=%zz&", "%61uthor=%C3%A9+%2B", "&&author=a=b"] {
        library.member().get(&format!("/books?{query}")).await.is(200);
    }
}

#[tokio::test]
async fn invalid_query_is_refused_with_its_parameter() {
    on_each_database(async |library| {
        let long = format!("title={}", "x".repeat(201));
        for (query, fields, why) in [
            ("sort=price", &["sort"][..], "an order that there is not"),
            ("sort=-", &["sort"], "no order"),
            ("sort=title,year", &["sort"], "two orders"),
            ("limit=0", &["limit"], "no book"),
            ("limit=-1", &["limit"], "fewer than none"),
            ("limit=1001", &["limit"], "too many"),
            ("limit=ten", &["limit"], "no number"),
            ("yearFrom=MCMLVIII", &["yearFrom"], "no number"),
            ("yearFrom=1.5", &["yearFrom"], "no integer"),
            ("yearTo=10000", &["yearTo"], "after the last year"),
            ("yearFrom=1900&yearTo=1800", &["yearTo"], "the wrong way round"),
            ("cursor=rubbish", &["cursor"], "a cursor that nobody gave"),
            ("q=a&q=b", &["q"], "twice"),
            ("author=a%00b", &["author"], "NUL"),
            ("q=a%0ab", &["q"], "a line break"),
            ("title=a%E2%80%AE", &["title"], "a directional override"),
            (&long, &["title"], "longer than any search"),
            ("q=a+b+c+d+e+f+g+h+i", &["q"], "nine words"),
            ("q=a+a+a+a+a+a+a+a+a", &["q"], "nine times one word"),
            ("q=a%C2%A0b%E3%80%80c+d+e+f+g+h+i", &["q"], "nine words, in other white space"),
            ("limit=0&sort=x&q=%00x", &["sort", "q", "limit"], "three at once"),
        ] {
            let answer = library.member().get(&format!("/books?{query}")).await;
            assert_eq!(answer.problem(422, "validation_failed").wrong_fields(), fields, "{why}");
        }
    })
    .await;
}
