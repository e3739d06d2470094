//! What actix-http refuses before any service sees it, told as every other error is.

use std::net::SocketAddr;

use shared_claims::Problem;

use crate::caller::RequestId;
use crate::observe::{PROTECTION, TRANSPORT_SECURITY};

/// What the library writes for a request that it cannot read is no longer than this.
const LONGEST_BARE: usize = 256;

/// Where a bare answer of the library begins in `bytes`, which it then ends, and its status. Every answer of ours has an
/// `X-Request-Id`, and none ends with an empty line.
pub(crate) fn bare_answer(bytes: &[u8]) -> Option<(usize, u16)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let tail = bytes.len().saturating_sub(LONGEST_BARE);
    let start = tail + bytes[tail..].windows(9).rposition(|window| window == b"HTTP/1.1 ")?;
    let head = std::str::from_utf8(&bytes[start..]).ok()?.to_ascii_lowercase();
    let status = head.get(9..12)?.parse().ok()?;
    let bare = (400..600).contains(&status) && head.contains("content-length: 0\r\n") && !head.contains("x-request-id");
    bare.then_some((start, status))
}

/// The whole answer in place of `bare`, after which the connection is closed.
pub(crate) fn explained(bare: &[u8], status: u16, peer: Option<SocketAddr>, encrypted: bool) -> Vec<u8> {
    let id = RequestId::random();
    let problem = Problem::of_status(status);
    let body = problem.body(Some(id.as_str()));
    let address = peer.map(|peer| peer.ip().to_canonical().to_string()).unwrap_or_default();
    let (request_id, address) = (id.as_str(), address.as_str());
    log::info!(target: "http", request_id = request_id, address = address, status = status; "request refused: no HTTP, or not in time");
    let length = body.len().to_string();
    let date = String::from_utf8_lossy(bare);
    let date = date.lines().find_map(|line| Some(("date", line.strip_prefix("date: ")?)));
    let own = [
        ("content-type", Problem::MEDIA_TYPE),
        ("content-length", &length),
        ("connection", "close"),
        ("x-request-id", request_id),
    ];
    let secure = encrypted.then_some(("strict-transport-security", TRANSPORT_SECURITY));
    let mut head = format!("HTTP/1.1 {status} {}\r\n", problem.title());
    for (name, value) in own.into_iter().chain(PROTECTION).chain(secure).chain(date) {
        head.extend([name, ": ", value, "\r\n"]);
    }
    format!("{head}\r\n{body}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: now\r\n\r\n";

    #[test]
    fn a_bare_answer_is_known_wherever_it_stands() {
        assert_eq!(bare_answer(BARE), Some((0, 400)));
        let behind = [b"HTTP/1.1 200 OK\r\nx-request-id: 1\r\ncontent-length: 2\r\n\r\n{}", BARE].concat();
        assert_eq!(bare_answer(&behind), Some((behind.len() - BARE.len(), 400)));
    }

    #[test]
    fn no_answer_of_ours_is_taken_for_a_bare_one() {
        for ours in [
            "HTTP/1.1 204 No Content\r\nx-request-id: 1\r\n\r\n",
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nx-request-id: 1\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n{}",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "\r\n\r\n",
            "",
        ] {
            assert_eq!(bare_answer(ours.as_bytes()), None, "{ours:?}");
        }
    }
}
