//! Records of each format, read byte by byte and at once.

use std::io::{self, Read};

use serde_json::{Value, json};
use shared_service::operations::records::{self, Record, Records};

/// A file that arrives byte by byte.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(&mut buffer[..1])
    }
}

/// Each record with its line; a refused record as the reason.
fn read(file: impl AsRef<[u8]>) -> Vec<(u64, Result<Value, String>)> {
    let values = |(line, record): Record| (line, record.map(Value::Object));
    let at_once: Vec<_> = Records::of(file.as_ref()).map(values).collect();
    let slowly: Vec<_> = Records::of(Slow(file.as_ref())).map(values).collect();
    assert_eq!(at_once, slowly);
    at_once
}

#[test]
fn records_of_each_format_are_read_with_their_lines() {
    let (one, two) = (json!({"a": "1", "b": "x,\n\"y\""}), json!({"a": "2"}));
    for (file, lines, why) in [
        ("{\"a\":\"1\",\"b\":\"x,\\n\\\"y\\\"\"}\n{\"a\":\"2\"}", [1, 2], "JSON lines"),
        (
            "\u{feff}{\"a\":\"1\",\"b\":\"x,\\n\\\"y\\\"\"}\r\n\r\n \t{\"a\":\"2\"}\r\n\r\n",
            [1, 3],
            "with a byte order mark and blank lines",
        ),
        (
            "{\n\t\"a\": \"1\",\n\t\"b\": \"x,\\n\\\"y\\\"\"\n}\r\n\n{\r\n  \"a\": \"2\"\r\n}",
            [1, 6],
            "pretty-printed objects",
        ),
        ("[{\"a\":\"1\",\"b\":\"x,\\n\\\"y\\\"\"},{\"a\":\"2\"}]", [1, 1], "an array in one line"),
        (
            "\n\u{20}[\n  {\n    \"a\": \"1\",\n    \"b\": \"x,\\n\\\"y\\\"\"\n  },\n\n  {\"a\": \"2\"}\n]\n",
            [3, 8],
            "a long array",
        ),
        ("a,b\n1,\"x,\n\"\"y\"\"\"\n2,\n", [2, 4], "CSV"),
        ("\u{feff}a;b\r\n1;\"x,\n\"\"y\"\"\"\r\n;\r\n2;\r\n", [2, 5], "semicolons, a byte order mark, an empty row"),
        ("\n\"a\"\t b \n\n1\t\"x,\n\"\"y\"\"\"\n2\t", [4, 6], "tabs, with blank lines"),
        ("a,b\r\r\n1,\"x,\n\"\"y\"\"\"\r\r\n2,\r", [2, 4], "a CR too many at the end of a line"),
    ] {
        assert_eq!(read(file), [(lines[0], Ok(one.clone())), (lines[1], Ok(two.clone()))], "{why}");
    }
    for nothing in ["", "\u{feff}", " \n\n", "[]", "[ \n ]\n", "a,b\n", "a,b"] {
        assert_eq!(read(nothing), [], "{nothing:?}");
    }
}

#[test]
fn values_keep_their_type() {
    let object = json!({"n": 226.0, "m": {"$date": 1}, "l": [true, null], "big": 1e300});
    assert_eq!(read(object.to_string()), [(1, Ok(object.clone()))]);
    assert_eq!(read(json!([object]).to_string()), [(1, Ok(object))]);
}

#[test]
fn bad_record_is_refused_and_the_next_is_read() {
    for (file, line, why) in [
        ("{}\n{\"a\":1,\"a\":2}\n{}", 2, "each name once"),
        ("{}\n{\"a\":{\"b\":1,\"\\u0062\":2}}\n{}", 2, "each name once"),
        ("{}\n{\"a\"\n{}", 2, "is not JSON, see column 4: EOF"),
        ("{}\n{\n{}", 2, "is not JSON, see column 1: EOF"),
        ("{}\n[]\n{}", 2, "must be a JSON object"),
        ("{}\n\"password\"\n{}", 2, "must be a JSON object"),
        ("{}\n{} {}\n{}", 2, "is not JSON, see column 4: trailing"),
        ("{}\n{\n \"a\":1,\n \"b\"\n}\n{}", 5, "is not JSON, see column 1"),
        ("[{},\n{\"a\":1,\n\"a\":2},{}]", 2, "each name once"),
        ("[{},\n{\"a\":1,\n\"b\"},{}]", 3, "is not JSON, see column 4"),
        ("[{},\n17,{}]", 2, "must be a JSON object"),
        ("[{},\n,{}]", 2, "is not JSON"),
        ("a,b\n1,2\n1,2,3\n1,2", 3, "must have 2 values, as the header has, and not 3"),
        ("a,b\n1,2\n1\n1,2", 3, "must have 2 values"),
        ("a,b\n1,2\n1,2\r1,2\r\n1,2", 3, "must end with LF or CRLF, not with CR alone"),
        ("a,b\n1,2\n1,\"2\n\"\r1,2\n1,2", 3, "must end with LF or CRLF, not with CR alone"),
    ] {
        let records = read(file);
        assert_eq!(records.len(), 3, "{file}: {records:?}");
        assert!(records[0].1.is_ok() && records[2].1.is_ok(), "{file}: {records:?}");
        let (number, reason) = (records[1].0, records[1].1.as_ref().unwrap_err());
        assert!(number == line && reason.contains(why) && !reason.contains("password"), "{file}: {records:?}");
    }
    assert_eq!(read(b"{}\n{\"a\":\"\xff\"}\n{}")[1], (2, Err("must be UTF-8".to_owned())));
    assert_eq!(read(b"a,b\n1,2\n1,\xff\n1,2")[1], (3, Err("must be UTF-8".to_owned())));
}

#[test]
fn file_that_cannot_be_read_on_ends() {
    let long = "x".repeat(1 << 21);
    for (file, line, why) in [
        ("[{},\n{}", 2, "the array has no end"),
        ("[{}]\n{}", 2, "text follows the end of the array"),
        ("[{}] x", 1, "text follows the end of the array"),
        ("null", 1, "must begin with { or [ (JSON), or with a header"),
        ("a\n1\n", 1, "must begin with { or [ (JSON), or with a header"),
        ("a,b\r1,2\r3,4\r", 1, "must end with LF or CRLF, not with CR alone"),
        ("a,b\n1,2\r3,4\r", 2, "must end with LF or CRLF, not with CR alone"),
        ("a,b,a\n1,2,3\n", 1, "the header must name \"a\" once"),
        ("a,,c\n1,2,3\n", 1, "the header must name column 2"),
        (&format!("{}b\n", "a,".repeat(80)), 1, "at most 64 values"),
        (&format!("{{\"a\":\"{long}\"}}\n{{}}\n"), 1, "at most 1 MiB"),
        (&format!("[{{\"a\":\"{long}\"}},\n{{}}]\n"), 1, "at most 1 MiB"),
        (&format!("a,b\n1,\"{long}\n1,2"), 2, "at most 1 MiB"),
        ("a,b\n1,\"2\n3,4\n", 4, "a quoted value has no end"),
        ("a,b\n1,\"2", 3, "a quoted value has no end"),
        (&long, 1, "at most 1 MiB"),
    ] {
        let records = read(file);
        let Some((number, Err(reason))) = records.last() else { panic!("{records:?}") };
        assert!(*number == line && reason.contains(why), "{why}: {number}: {reason}");
    }
    assert_eq!(read(b"\xff\xfea\0,\0b\0\n\0").last().map(|(line, record)| (*line, record.is_err())), Some((1, true)));
}

#[test]
fn refusal_lists_twenty_lines_and_counts_the_others() {
    let listed =
        |count: u64| records::listed((1..=count).map(|number| (number, "is bad")).collect::<Vec<_>>().into_iter());
    assert_eq!(listed(2), "\nline 1: is bad\nline 2: is bad");
    assert_eq!(listed(20).lines().count(), 21);
    assert!(listed(200_000).ends_with("\nline 20: is bad\nand 199980 more"));
}
