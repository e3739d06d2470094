//! A client's connection, beneath HTTP: it does not wait for ever, and what is refused down here is told as everything else is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use shared_claims::Problem;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::caller::RequestId;
use crate::observe::PROTECTION;

/// How often a connection is looked at.
const TICK: Duration = Duration::from_secs(4);
/// After so many ticks without a word from the one whose turn it is, the connection is closed: 16 to 20 s.
const PATIENCE: u8 = 4;
/// How an answer begins after which nothing more is read.
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 ";
/// What the library writes for a request that it cannot read is no longer than this.
const LONGEST_BARE: usize = 256;

/// A client's connection.
///
/// actix-http limits the time of the first head on a connection, and of no other; and it waits without end for a client
/// that does not take its answer. Here each turn has its end: from a request's first byte to its answer's first, and
/// from one byte of the answer that is taken to the next.
///
/// What is no HTTP never reaches a service: actix-http answers with a bare status. It is given its body here.
pub(crate) struct Connection<T> {
    io: T,
    next_tick: Pin<Box<Sleep>>,
    turn: Turn,
    /// An answer of ours in place of a bare one, not written yet.
    answer: Vec<u8>,
    /// The client was told that it took too long: what is still to come of its request is not waited for.
    over: bool,
}

/// Whose turn it is, and for how many ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nobody's: no request has begun since the last answer.
    Idle,
    /// A request has begun, and nothing of its answer was sent.
    Request(u8),
    /// The client does not take what is sent.
    Answer(u8),
}

impl<T> Connection<T> {
    pub(crate) fn new(io: T) -> Self {
        Self { io, next_tick: Box::pin(sleep(TICK)), turn: Turn::Idle, answer: Vec::new(), over: false }
    }

    /// Fails once somebody's turn has taken too long. Otherwise the task is woken at the next tick.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.next_tick.as_mut().poll(cx).is_ready() {
            self.next_tick.set(sleep(TICK));
            match &mut self.turn {
                Turn::Idle => {}
                Turn::Request(ticks) | Turn::Answer(ticks) if *ticks < PATIENCE => *ticks += 1,
                Turn::Request(_) | Turn::Answer(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        Ok(())
    }
}

impl<T: AsyncWrite + Unpin> Connection<T> {
    /// Writes what stands in place of a bare answer.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.answer.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.answer))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.answer.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.over {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(cx, buffer) {
            if buffer.filled().len() > before && self.turn == Turn::Idle {
                self.turn = Turn::Request(0);
            }
            return Poll::Ready(read);
        }
        self.poll_patience(cx)?;
        Poll::Pending
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let bare = if this.answer.is_empty() { bare_answer(bytes) } else { None };
        let written = match bare {
            Some((0, status)) => {
                this.answer = explained(status);
                bytes.len()
            }
            _ => 0,
        };
        let outcome = this.poll_answer(cx).map_ok(|()| written);
        let outcome = match outcome {
            Poll::Ready(Ok(0)) => {
                let until = bare.map_or(bytes.len(), |(start, _)| start);
                Pin::new(&mut this.io).poll_write(cx, &bytes[..until])
            }
            // The answer is kept here, and written by the next flush at the latest.
            Poll::Pending if written > 0 => Poll::Ready(Ok(written)),
            outcome => outcome,
        };
        match &outcome {
            Poll::Ready(_) => {
                this.turn = Turn::Idle;
                this.over |= bytes.starts_with(TIMED_OUT);
            }
            Poll::Pending => {
                if !matches!(this.turn, Turn::Answer(_)) {
                    this.turn = Turn::Answer(0);
                }
                this.poll_patience(cx)?;
            }
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Where a bare answer of the library begins in `bytes`, which it then ends, and its status. Every answer of ours has an
/// `X-Request-Id`, and none ends with an empty line.
fn bare_answer(bytes: &[u8]) -> Option<(usize, u16)> {
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

/// The whole answer, after which the connection is closed.
fn explained(status: u16) -> Vec<u8> {
    let id = RequestId::random();
    let problem = Problem::of_status(status);
    let body = problem.body(Some(id.as_str()));
    log::info!(target: "http", request_id = id.as_str(), status = status; "request refused: no HTTP, or not in time");
    let mut head = format!("HTTP/1.1 {status} {}\r\n", problem.title());
    let length = body.len().to_string();
    let own = [
        ("content-type", Problem::MEDIA_TYPE),
        ("content-length", &length),
        ("connection", "close"),
        ("cache-control", "no-store"),
        ("x-request-id", id.as_str()),
    ];
    for (name, value) in own.into_iter().chain(PROTECTION) {
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
