//! The bodies of requests and of responses.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use tower::BoxError;

/// The body of a request.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A body that holds a value until it ends, fails or is dropped.
#[derive(Debug)]
pub(crate) struct Held<B, T> {
    body: B,
    held: Option<T>,
}

impl<B: http_body::Body, T> Held<B, T> {
    /// Creates a body that holds a value, if there is one.
    pub(crate) fn new(body: B, held: Option<T>) -> Self {
        let held = held.filter(|_| !body.is_end_stream());
        Self { body, held }
    }
}

impl<B: http_body::Body + Unpin, T: Unpin> http_body::Body for Held<B, T> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let has_ended = match &polled {
            Poll::Pending => false,
            Poll::Ready(Some(Ok(_))) => self.body.is_end_stream(),
            Poll::Ready(None | Some(Err(_))) => true,
        };
        if has_ended {
            self.held = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
