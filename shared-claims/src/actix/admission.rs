use std::cell::{Cell, RefCell};
use std::io;
use std::mem::take;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Data;
use futures_util::StreamExt;
use futures_util::stream::poll_fn;

use crate::{BearerAuth, Member, Problem, clock};

/// The future that extracts a [`Member`] or an [`Admin`](crate::Admin). For a request with a body it completes only
/// after the other extractors have read that body, so that an error found then is the response.
pub struct Admission<T> {
    decided: Option<Result<T, Problem>>,
    body: Option<Rc<Body>>,
    is_first_poll: bool,
}

/// State shared by an [`Admission`] and the body stream.
#[derive(Default)]
struct Body {
    /// The error found at the end of the body, if the check at the head found none.
    refused: RefCell<Option<Problem>>,
    /// True if a reader has started to wait for the stream since the last poll of the admission.
    is_awaited: Cell<bool>,
    /// The task of the admission.
    waker: Cell<Option<Waker>>,
}

/// The body stream's handle on the shared state. Dropping it also wakes the admission.
struct Reader(Rc<Body>);

impl<T> Admission<T> {
    pub(super) fn decided(decision: Result<T, Problem>) -> Self {
        Self { decided: Some(decision), body: None, is_first_poll: true }
    }

    pub(super) fn and_then<U>(self, next: impl FnOnce(T) -> Result<U, Problem>) -> Admission<U> {
        let Self { decided, body, is_first_poll } = self;
        let decided = decided.map(|decision| decision.and_then(next));
        // A refusal does not wait for the body.
        let body = body.filter(|_| matches!(decided, Some(Ok(_))));
        Admission { decided, body, is_first_poll }
    }
}

impl Admission<Member> {
    /// Wraps `payload` so that the token is checked a second time when the body is complete: it may have been revoked
    /// while the body arrived.
    pub(super) fn until_complete(member: Member, auth: Data<BearerAuth>, payload: &mut Payload) -> Self {
        let state = Rc::new(Body::default());
        let (mut body, reader, sender) = (payload.take(), Reader(Rc::clone(&state)), member.clone());
        let stream = poll_fn(move |cx| {
            let polled = body.poll_next_unpin(cx);
            reader.0.is_awaited.set(polled.is_pending());
            if polled.is_ready() {
                reader.0.wake();
            }
            match polled {
                Poll::Ready(None) => match auth.recheck(&sender, clock::now()) {
                    Ok(()) => Poll::Ready(None),
                    Err(problem) => reader.refuse(problem, cx),
                },
                other => other,
            }
        });
        *payload = Payload::Stream { payload: Box::pin(stream) };
        Self { decided: Some(Ok(member)), body: Some(state), is_first_poll: true }
    }
}

impl<T: Unpin> Future for Admission<T> {
    type Output = Result<T, Problem>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let is_first_poll = take(&mut this.is_first_poll);
        if let Some(body) = &this.body {
            if let Some(problem) = body.refused.take() {
                this.decided = Some(Err(problem));
            } else if body.is_awaited.take() || is_first_poll {
                body.waker.set(Some(cx.waker().clone()));
                if is_first_poll {
                    // The handler's other extractors are polled after this return. By the second poll of this future
                    // they have polled the body, or never will.
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
        }
        this.body = None;
        this.decided.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Body {
    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Reader {
    /// Passes the error to the admission if that still exists. Otherwise the handler is reading the body and gets an
    /// I/O error.
    fn refuse<T>(&self, problem: Problem, cx: &mut Context<'_>) -> Poll<Option<Result<T, PayloadError>>> {
        let is_first_refusal = self.0.refused.replace(Some(problem.clone())).is_none();
        let has_admission = Rc::strong_count(&self.0) > 1;
        if is_first_refusal && has_admission {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(PayloadError::Io(io::Error::other(problem)))))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.is_awaited.set(false);
        self.0.wake();
    }
}
