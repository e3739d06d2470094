use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;

/// The maximum number of bytes that a mail server may send without TLS: more than any conversation needs. It bounds the
/// CPU time, because the library parses the whole reply again after each line.
const CLEAR: usize = 8 << 10;
/// The same over TLS, certificates included.
const ENCRYPTED: usize = 32 << 10;
/// The first byte of a TLS record of a handshake (RFC 8446 section 5.1). No command of SMTP begins with it.
const HANDSHAKE: u8 = 22;

/// A TCP connection to a mail server, for STARTTLS or without encryption. It limits the bytes that the library reads:
/// the library itself checks the length of a line only at its end.
///
/// Before TLS it gives the library one line at a time. So the library never takes clear text, sent behind the reply to
/// STARTTLS, for a reply over TLS (RFC 3207 section 4.2).
#[derive(Debug)]
pub(super) struct BoundedStream {
    stream: BufReader<TcpStream>,
    left: usize,
    is_encrypted: bool,
}

impl BoundedStream {
    pub(super) async fn connect(host: &str, port: u16) -> Result<Self> {
        let stream = BufReader::new(TcpStream::connect((host, port)).await?);
        Ok(Self { stream, left: CLEAR, is_encrypted: false })
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let (left, is_encrypted) = (self.left, self.is_encrypted);
        let held = ready!(Pin::new(&mut self.stream).poll_fill_buf(context))?;
        if left == 0 && !held.is_empty() {
            return Poll::Ready(Err(Error::new(ErrorKind::InvalidData, "it sends too much")));
        }
        let end = held.iter().position(|byte| *byte == b'\n' && !is_encrypted).map_or(held.len(), |at| at + 1);
        let read = end.min(into.remaining()).min(left);
        into.put_slice(&held[..read]);
        self.left -= read;
        Pin::new(&mut self.stream).consume(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize>> {
        if !self.is_encrypted && from.first() == Some(&HANDSHAKE) {
            if !self.stream.buffer().is_empty() {
                let text = "it sends clear text behind its reply to STARTTLS";
                return Poll::Ready(Err(Error::new(ErrorKind::InvalidData, text)));
            }
            (self.is_encrypted, self.left) = (true, ENCRYPTED);
        }
        Pin::new(&mut self.stream).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for BoundedStream {
    fn peer_addr(&self) -> Result<SocketAddr> {
        self.stream.get_ref().peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use crate::mail::Smtp;

    /// The error of a check of a server that sends these texts, one for each command.
    async fn refusal(replies: &[&str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let smtp: Smtp = format!("smtp://127.0.0.1:{}", listener.local_addr().unwrap().port()).parse().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            for reply in replies {
                // The client may have gone already.
                drop(stream.write_all(reply.as_bytes()).await);
                drop(stream.read(&mut [0; 512]).await);
            }
        };
        let (refusal, ()) = tokio::join!(async { smtp.check(None).await.unwrap_err() }, serve);
        refusal
    }

    #[tokio::test]
    async fn endless_reply_is_cut_off_soon() {
        for reply in ["a".repeat(1 << 20), "220-a\r\n".repeat(14_000), "220-\r\n".repeat(16_000)] {
            // The CPU time of this thread, so that other threads do not count.
            let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
            let began = now();
            let refusal = refusal(&[&reply]).await;
            assert!(refusal.ends_with("it sends too much"), "{refusal}");
            let took = now().saturating_sub(began);
            assert!(took < Duration::from_secs(3), "{took:?}");
        }
    }

    #[tokio::test]
    async fn clear_text_behind_the_reply_to_starttls_is_no_reply_over_tls() {
        let hello = "250-mail\r\n250 STARTTLS\r\n";
        let refusal =
            refusal(&["220 mail\r\n", hello, "220 go\r\n250-mail\r\n250 AUTH PLAIN\r\n235 welcome\r\n"]).await;
        assert!(refusal.ends_with("it sends clear text behind its reply to STARTTLS"), "{refusal}");
    }
}
