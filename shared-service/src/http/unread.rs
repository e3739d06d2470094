use std::cell::RefCell;
use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, UPGRADE};
use actix_web::web::Bytes;
use futures_util::Stream;

/// The chunked body of a request, or the body beside `Upgrade: websocket`, kept until the response is sent.
///
/// If a chunked body is dropped, actix-http waits for its rest without a limit, so that a client can hold the
/// connection open. If the body is kept but not read to its end, actix-http closes the connection.
///
/// Beside `Upgrade: websocket`, actix-http takes all that follows for the body. It ends after `Content-Length` bytes all
/// the same, because this server upgrades no connection (RFC 9110 section 7.8).
pub(crate) struct Unread {
    body: Rc<RefCell<Payload>>,
    /// The number of bytes before the end of the body; `None` if actix-http finds the end.
    left: Option<usize>,
}

impl Unread {
    /// The body of `request`, if it is one of these.
    pub(crate) fn of(request: &mut ServiceRequest) -> Option<Self> {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let is_upgrade = header(UPGRADE).is_some_and(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"));
        let left = match (request.chunked().unwrap_or_default(), is_upgrade) {
            (true, _) => None,
            (false, true) => Some(header(CONTENT_LENGTH).and_then(|length| length.parse().ok()).unwrap_or_default()),
            (false, false) => return None,
        };
        let body = Rc::new(RefCell::new(request.take_payload()));
        request.set_payload(Payload::Stream { payload: Box::pin(Self { body: Rc::clone(&body), left }) });
        Some(Self { body, left })
    }

    /// Wraps the response body `answer`, so that `unread` is kept until the response is sent.
    pub(crate) fn hold<B: MessageBody + 'static>(unread: Option<Self>, answer: B) -> EitherBody<B, Held> {
        match unread {
            None => EitherBody::left(answer),
            Some(unread) => EitherBody::right(Held { answer: BoxBody::new(answer), _unread: unread }),
        }
    }
}

impl Stream for Unread {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        let polled = ready!(Pin::new(&mut *self.body.borrow_mut()).poll_next(cx));
        let Some(left) = self.left else { return Poll::Ready(polled) };
        let mut bytes = polled.ok_or(PayloadError::Incomplete(None))??;
        bytes.truncate(left);
        self.left = Some(left - bytes.len());
        Poll::Ready(Some(Ok(bytes)))
    }
}

/// The body of a response to a request with a chunked body.
pub(crate) struct Held {
    answer: BoxBody,
    _unread: Unread,
}

impl MessageBody for Held {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.answer.as_pin_mut().poll_next(cx)
    }
}
