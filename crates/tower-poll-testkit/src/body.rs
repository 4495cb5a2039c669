//! The bodies of scripted answers.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::failure::ConnectionFailure;

/// The body of a scripted answer: bytes in one frame, and a failure after them
/// if the answer [breaks off](crate::Answer::broken_off).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use http::Request;
/// use tower::ServiceExt;
/// use tower_poll_testkit::Script;
///
/// let server = Script::new().response(200, "the report").server();
/// let response = server.oneshot(Request::new(())).await.unwrap();
/// assert_eq!(response.body().bytes(), "the report");
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ScriptBody {
    data: Bytes,
    is_broken_off: bool,
}

impl ScriptBody {
    pub(crate) fn new(data: Bytes, is_broken_off: bool) -> Self {
        Self {
            data,
            is_broken_off,
        }
    }

    /// Returns the bytes that have not been read yet.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.data
    }

    /// Returns whether the body ends with a failure that has not been read yet.
    #[must_use]
    pub fn is_broken_off(&self) -> bool {
        self.is_broken_off
    }
}

impl Body for ScriptBody {
    type Data = Bytes;
    type Error = ConnectionFailure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionFailure>>> {
        if !self.data.is_empty() {
            let data = std::mem::take(&mut self.data);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if std::mem::take(&mut self.is_broken_off) {
            let failure = ConnectionFailure("the body broke off".to_owned());
            return Poll::Ready(Some(Err(failure)));
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && !self.is_broken_off
    }

    fn size_hint(&self) -> SizeHint {
        let known = self.data.len() as u64;
        if self.is_broken_off {
            let mut hint = SizeHint::new();
            hint.set_lower(known);
            hint
        } else {
            SizeHint::with_exact(known)
        }
    }
}
