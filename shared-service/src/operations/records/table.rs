use std::collections::HashSet;
use std::io::{self, BufRead, Cursor, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use super::{Record, Text};

/// The maximum number of columns.
const MOST_COLUMNS: usize = 64;

/// The values of one row, with its first line.
type Row = (u64, Result<Vec<String>, String>);

/// The rows of a CSV file (RFC 4180) after its header.
pub(super) struct Table<'a> {
    text: Text<'a>,
    parser: Box<Reader>,
    names: Vec<String>,
}

impl<'a> Table<'a> {
    /// Reads the header, which begins in `line`. The separator is a comma, a semicolon or a tab.
    pub(super) fn begin(mut text: Text<'a>, line: &mut u64) -> io::Result<Self> {
        let mut header = Vec::new();
        text.read_until(b'\n', &mut header)?;
        let count = |separator| header.split(|byte| *byte == separator).count();
        let separator = [b'\t', b';', b','].into_iter().max_by_key(|separator| count(*separator)).unwrap_or(b',');
        let parser = Box::new(ReaderBuilder::new().delimiter(separator).build());
        let text: Text<'a> = Box::new(Cursor::new(header).chain(text));
        let mut table = Self { text, parser, names: Vec::new() };
        let begins = *line;
        let names = table.values(line)?.map_or_else(|| Ok(Vec::new()), |(_, names)| names);
        let refused = |reason| {
            *line = begins;
            io::Error::other(reason)
        };
        table.names = names.and_then(|names| check(&names)).map_err(refused)?;
        Ok(table)
    }

    /// The record of the next row with at least one value that is not empty.
    pub(super) fn row(&mut self, line: &mut u64) -> io::Result<Option<Record>> {
        while let Some((number, values)) = self.values(line)? {
            match values {
                Ok(values) if values.iter().all(String::is_empty) => {}
                values => return Ok(Some((number, values.and_then(|values| self.object(values))))),
            }
        }
        Ok(None)
    }

    fn object(&self, values: Vec<String>) -> Result<Map<String, Value>, String> {
        if values.len() != self.names.len() {
            return Err(format!("must have {} values, as the header has, and not {}", self.names.len(), values.len()));
        }
        let cells = self.names.iter().cloned().zip(values).filter(|(_, value)| !value.is_empty());
        Ok(cells.map(|(name, value)| (name, value.into())).collect())
    }

    /// The values of the next line that is not blank. A quoted value may span lines.
    fn values(&mut self, line: &mut u64) -> io::Result<Option<Row>> {
        let mut number = *line;
        self.parser.reset();
        let (mut text, mut written, mut ends, mut count) = (Vec::new(), 0, [0; MOST_COLUMNS], 0);
        loop {
            let mut bytes = Vec::new();
            if self.text.read_until(b'\n', &mut bytes)? == 0 {
                let open = *line > number;
                return if open { Err(io::Error::other("a quoted value has no end")) } else { Ok(None) };
            }
            if !bytes.ends_with(b"\n") {
                bytes.push(b'\n');
            }
            *line += 1;
            if text.is_empty() && bytes.trim_ascii().is_empty() {
                number = *line;
                continue;
            }
            text.resize(written + bytes.len(), 0);
            let (result, taken, more, values) =
                self.parser.read_record(&bytes, &mut text[written..], &mut ends[count..]);
            written += more;
            count += values;
            match result {
                ReadRecordResult::InputEmpty => {}
                // The parser also ends a row at CR, where the next row would be lost.
                ReadRecordResult::Record if !bytes[taken..].trim_ascii().is_empty() => {
                    return Ok(Some((number, Err("must end with LF or CRLF, not with CR alone".to_owned()))));
                }
                ReadRecordResult::OutputEndsFull => {
                    *line = number;
                    return Err(io::Error::other(format!("a row must have at most {MOST_COLUMNS} values")));
                }
                _ => return Ok(Some((number, split(&text, &ends[..count])))),
            }
        }
    }
}

/// Splits `text` into the values that end at `ends`.
fn split(text: &[u8], ends: &[usize]) -> Result<Vec<String>, String> {
    let begins = std::iter::once(&0).chain(ends);
    let values = begins.zip(ends).map(|(begin, end)| String::from_utf8(text[*begin..*end].to_vec()));
    values.collect::<Result<_, _>>().map_err(|_| "must be UTF-8".to_owned())
}

/// Checks the names of a header.
fn check(names: &[String]) -> Result<Vec<String>, String> {
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    let mut seen = HashSet::new();
    if names.len() < 2 {
        return Err("must begin with { or [ (JSON), or with a header of two columns and more (CSV)".to_owned());
    }
    match names.iter().enumerate().find(|(_, name)| name.is_empty() || !seen.insert(*name)) {
        Some((index, name)) if name.is_empty() => Err(format!("the header must name column {}", index + 1)),
        Some((_, name)) => Err(format!("the header must name {name:?} once")),
        None => Ok(names),
    }
}
