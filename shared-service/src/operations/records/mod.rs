//! The records of an exported file: JSON objects one after the other, one JSON array, or CSV whose first row names the
//! columns.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::rc::Rc;

use serde_json::{Map, Value};
use shared_claims::parse_object;

use self::table::Table;

/// CSV.
mod table;

/// The largest record, in bytes.
const LARGEST: usize = 1 << 20;

/// One record: its first line, counted from 1, and its members or an error. The error quotes no value. A cell of CSV is
/// a string; an empty cell is an absent member.
pub type Record = (u64, Result<Map<String, Value>, String>);

/// The maximum number of invalid lines that an error lists.
const MOST_LISTED: usize = 20;

/// Lists the first invalid `lines` of a file, each with its reason on a line of its own, and the number of the others.
pub fn listed<'l>(lines: impl ExactSizeIterator<Item = (u64, &'l str)>) -> String {
    let more = lines.len().saturating_sub(MOST_LISTED);
    let listed = lines.take(MOST_LISTED).map(|(number, why)| format!("\nline {number}: {why}"));
    listed.chain((more > 0).then(|| format!("\nand {more} more"))).collect()
}

/// The text of a file.
type Text<'a> = Box<dyn BufRead + 'a>;

/// The records of a UTF-8 file, one by one. An invalid record does not end the iteration; an unreadable file does.
pub struct Records<'a> {
    rest: Rest<'a>,
    /// The number of bytes that the current record may still take.
    room: Rc<Cell<usize>>,
    /// The line to be read next.
    line: u64,
}

/// The unread part of each format.
enum Rest<'a> {
    Unknown(Text<'a>),
    Lines(Text<'a>),
    /// An array after its opening bracket; true after a comma.
    Array(Text<'a>, bool),
    Table(Table<'a>),
    Nothing,
}

impl<'a> Records<'a> {
    /// The records of `file`. Its first character determines the format: `[` an array, `{` JSON objects (a line each,
    /// or pretty-printed), any other the header of CSV.
    pub fn of(file: impl Read + 'a) -> Self {
        let room = Rc::new(Cell::new(LARGEST));
        let text = BufReader::new(Bounded { file, room: Rc::clone(&room) });
        Self { rest: Rest::Unknown(Box::new(text)), room, line: 1 }
    }

    fn read(&mut self) -> io::Result<Option<Record>> {
        self.room.set(LARGEST);
        match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Unknown(text) => {
                self.rest = begin(text, &mut self.line)?;
                self.read()
            }
            Rest::Lines(mut text) => {
                let record = line(&mut text, &mut self.line)?;
                self.rest = Rest::Lines(text);
                Ok(record)
            }
            Rest::Array(mut text, behind_comma) => {
                let (record, more) = element(&mut text, &mut self.line, behind_comma)?;
                if more {
                    self.rest = Rest::Array(text, true);
                }
                Ok(record)
            }
            Rest::Table(mut table) => {
                let record = table.row(&mut self.line)?;
                self.rest = Rest::Table(table);
                Ok(record)
            }
            Rest::Nothing => Ok(None),
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        self.read().unwrap_or_else(|error| Some((self.line, Err(error.to_string()))))
    }
}

/// Skips a byte order mark and white space, then determines the format.
fn begin<'a>(mut text: Text<'a>, line: &mut u64) -> io::Result<Rest<'a>> {
    let mut head = Vec::new();
    text.by_ref().take(3).read_to_end(&mut head)?;
    if head == *b"\xef\xbb\xbf" {
        head.clear();
    }
    let mut text: Text<'a> = Box::new(Cursor::new(head).chain(text));
    loop {
        match text.fill_buf()?.get(..1) {
            None => return Ok(Rest::Nothing),
            Some(b"\n") => *line += 1,
            Some(space) if space.trim_ascii().is_empty() => {}
            Some(b"{") => return Ok(Rest::Lines(text)),
            Some(b"[") => {
                text.consume(1);
                return Ok(Rest::Array(text, false));
            }
            Some(_) => return Table::begin(text, line).map(Rest::Table),
        }
        text.consume(1);
    }
}

/// The record of the next line that is not blank. After a line with only an opening brace, the indented lines and the
/// closing brace belong to the same record, as `mongoexport --pretty` and `jq` write them.
fn line(text: &mut Text<'_>, line: &mut u64) -> io::Result<Option<Record>> {
    loop {
        let (mut bytes, number) = (Vec::new(), *line);
        if text.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        *line += 1;
        let mut is_open = bytes.trim_ascii() == b"{";
        while is_open && let Some(&first @ (b' ' | b'\t' | b'\r' | b'\n' | b'}')) = text.fill_buf()?.first() {
            is_open = first != b'}';
            text.read_until(b'\n', &mut bytes)?;
            *line += 1;
        }
        if !bytes.trim_ascii().is_empty() {
            return Ok(Some(object(bytes.trim_ascii(), number)));
        }
    }
}

/// The next element of an array, and true if a comma follows it.
fn element(text: &mut Text<'_>, line: &mut u64, behind_comma: bool) -> io::Result<(Option<Record>, bool)> {
    let (mut bytes, mut number, mut depth, mut quoted, mut escaped) = (Vec::new(), *line, 0_usize, false, false);
    loop {
        let byte = byte(text, line)?.ok_or_else(|| io::Error::other("the array has no end"))?;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b',' if depth == 0 => return Ok((Some(object(&bytes, number)), true)),
            b']' if depth == 0 => break,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            byte if bytes.is_empty() && byte.is_ascii_whitespace() => {
                number = *line;
                continue;
            }
            _ => {}
        }
        bytes.push(byte);
    }
    while let Some(byte) = byte(text, line)? {
        if !byte.is_ascii_whitespace() {
            return Err(io::Error::other("text follows the end of the array"));
        }
    }
    let empty = bytes.is_empty() && !behind_comma;
    Ok(((!empty).then(|| object(&bytes, number)), false))
}

fn byte(text: &mut Text<'_>, line: &mut u64) -> io::Result<Option<u8>> {
    let byte = text.fill_buf()?.first().copied();
    text.consume(byte.iter().len());
    *line += u64::from(byte == Some(b'\n'));
    Ok(byte)
}

/// Parses the object in `bytes`, which begins in line `number`.
fn object(bytes: &[u8], number: u64) -> Record {
    if std::str::from_utf8(bytes).is_err() {
        return (number, Err("must be UTF-8".to_owned()));
    }
    match serde_json::from_slice(bytes) {
        Ok(object) if parse_object(bytes).is_some() => (number, Ok(object)),
        Ok(_) => (number, Err("must have each name once, and at most 64 names in one object".to_owned())),
        Err(error) if error.is_data() => (number, Err("invalid: must be a JSON object".to_owned())),
        Err(error) => {
            let text = error.to_string();
            let why = text.split(" at line ").next().unwrap_or_default();
            let number = number + (error.line() as u64).saturating_sub(1);
            (number, Err(format!("is not JSON, see column {}: {why}", error.column())))
        }
    }
}

/// A reader that fails when the current record exceeds its limit.
struct Bounded<R> {
    file: R,
    room: Rc<Cell<usize>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.room.get());
        if most == 0 && !buffer.is_empty() {
            return Err(io::Error::other("a record must have at most 1 MiB"));
        }
        let read = self.file.read(&mut buffer[..most])?;
        self.room.set(self.room.get() - read);
        Ok(read)
    }
}
