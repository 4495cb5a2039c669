//! Reading bodies that nobody will see, within limits.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut};
use http_body::{Body, Frame};

/// What a frame counts against a limit beside its bytes, so that an endless
/// row of empty frames ends too.
const FRAME_COST: usize = 1;

/// Reads `body` to its end and throws it away, so that its connection can be
/// used again. Ready too once more than `left` bytes came or the body failed;
/// the connection is then given up when the body is dropped.
pub(crate) fn poll_drain<R: Body>(
    mut body: Pin<&mut R>,
    left: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<()> {
    loop {
        match ready!(body.as_mut().poll_frame(cx)) {
            None | Some(Err(_)) => return Poll::Ready(()),
            Some(Ok(frame)) => {
                if !charge(&frame, left) {
                    return Poll::Ready(());
                }
            }
        }
    }
}

/// Takes the cost of `frame` off what is `left`, if there is enough.
fn charge<D: Buf>(frame: &Frame<D>, left: &mut usize) -> bool {
    let size = frame.data_ref().map_or(0, Buf::remaining);
    let rest = left.checked_sub(size.saturating_add(FRAME_COST));
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

/// Whether draining `body` can be of use: it has something left to read, and
/// does not already say that it is longer than `limit`.
pub(crate) fn is_worth_draining<R: Body>(body: &R, limit: usize) -> bool {
    !body.is_end_stream()
        && usize::try_from(body.size_hint().lower()).is_ok_and(|length| length <= limit)
}

/// Reads `body` into `text`. Ready with whether all of it came and was within
/// the `left` bytes; if not, the start of it is there.
pub(crate) fn poll_collect<R: Body>(
    mut body: Pin<&mut R>,
    text: &mut Vec<u8>,
    left: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<bool> {
    loop {
        match ready!(body.as_mut().poll_frame(cx)) {
            None => return Poll::Ready(true),
            Some(Err(_)) => return Poll::Ready(false),
            Some(Ok(frame)) => {
                let room = *left;
                let is_within = charge(&frame, left);
                if let Ok(data) = frame.into_data() {
                    text.put(data.take(room));
                }
                if !is_within {
                    return Poll::Ready(false);
                }
            }
        }
    }
}
