//! A client's connection, beneath HTTP: it does not wait for ever, and what is refused down here is told as everything else is.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::refusal::{bare_answer, explained};

/// How often a connection is looked at.
const TICK: Duration = Duration::from_secs(4);
/// After so many ticks without a word from a client whose turn it is, the connection is closed: 16 to 20 s.
const CLIENT_PATIENCE: u8 = 4;
/// The same where the request seems to be complete, and the service is at work.
const SERVICE_PATIENCE: u8 = 10;
/// The same between requests. actix-http has a timer for that, but begins it anew whenever the connection is looked at.
const IDLE_PATIENCE: u8 = 18;
/// How the head of a request ends.
const END: &[u8; 4] = b"\r\n\r\n";
/// How an answer begins after which nothing more is read.
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 ";

/// A client's connection.
///
/// actix-http limits the time of the first head on a connection, and of no other; and it waits without end for a client
/// that does not take its answer. Here each turn has its end: from a request's first byte to its answer's first, from
/// one byte of the answer that is taken to the next, and from there to the next request.
///
/// What is no HTTP never reaches a service: actix-http answers with a bare status. It is given its body here.
pub(crate) struct Connection<T> {
    io: T,
    peer: Option<SocketAddr>,
    encrypted: bool,
    next_tick: Pin<Box<Sleep>>,
    turn: Turn,
    /// For so many ticks.
    ticks: u8,
    /// The last bytes that were read.
    tail: [u8; 4],
    /// An answer of ours in place of a bare one, not written yet.
    answer: Vec<u8>,
    /// The client was told that it took too long: what is still to come of its request is not waited for.
    over: bool,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nobody's: no request has begun since the last answer.
    Idle,
    /// A request has begun, and nothing of its answer was sent.
    Request,
    /// The client does not take what is sent.
    Answer,
}

impl<T> Connection<T> {
    pub(crate) fn new(io: T, peer: Option<SocketAddr>, encrypted: bool) -> Self {
        let next_tick = Box::pin(sleep(TICK));
        Self { io, peer, encrypted, next_tick, turn: Turn::Idle, ticks: 0, tail: *END, answer: Vec::new(), over: false }
    }

    fn turn(&mut self, turn: Turn) {
        if self.turn != turn || turn == Turn::Idle {
            (self.turn, self.ticks) = (turn, 0);
        }
    }

    /// Something of an answer was taken. Where more was read than whole requests, as far as the end of it tells, the next
    /// one has begun.
    fn answered(&mut self) {
        self.turn(Turn::Idle);
        if !self.is_whole() {
            self.turn(Turn::Request);
        }
    }

    /// Whether what was read ends as a request does: with an empty line, or with the end of a JSON object.
    fn is_whole(&self) -> bool {
        self.tail == *END || self.tail[3] == b'}'
    }

    /// Fails once somebody's turn has taken too long. Otherwise the task is woken at the next tick.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.next_tick.as_mut().poll(cx).is_ready() {
            self.next_tick.set(sleep(TICK));
            self.ticks += 1;
            let patience = match self.turn {
                Turn::Idle => IDLE_PATIENCE,
                Turn::Request if self.is_whole() => SERVICE_PATIENCE,
                Turn::Request | Turn::Answer => CLIENT_PATIENCE,
            };
            if self.ticks > patience {
                return Err(io::ErrorKind::TimedOut.into());
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
            let new = &buffer.filled()[before..];
            if !new.is_empty() {
                let last = new.len().min(4);
                self.tail.rotate_left(last);
                self.tail[4 - last..].copy_from_slice(&new[new.len() - last..]);
                if self.turn == Turn::Idle {
                    self.turn(Turn::Request);
                }
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
                this.answer = explained(bytes, status, this.peer, this.encrypted);
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
                this.answered();
                this.over |= bytes.starts_with(TIMED_OUT);
            }
            Poll::Pending => {
                this.turn(Turn::Answer);
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
