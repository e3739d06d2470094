use std::cell::RefCell;
use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;

/// The chunked body of a request, kept until the response is sent.
///
/// If a chunked body is dropped, actix-http waits for its rest without a limit, so that a client can hold the
/// connection open. If the body is kept but not read to its end, actix-http closes the connection.
pub(crate) struct Unread(Rc<RefCell<Payload>>);

impl Unread {
    /// The body of `request`, if it is chunked.
    pub(crate) fn of(request: &mut ServiceRequest) -> Option<Self> {
        if !request.chunked().unwrap_or_default() {
            return None;
        }
        let body = Rc::new(RefCell::new(request.take_payload()));
        request.set_payload(Payload::Stream { payload: Box::pin(Self(Rc::clone(&body))) });
        Some(Self(body))
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

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
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
