//! Reading bodies of answers that the caller does not get, within limits.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut};
use http_body::{Body, Frame};

/// The cost of a frame besides its bytes, so that an endless row of empty
/// frames ends too.
const FRAME_COST: usize = 1;

/// Reads and drops `body`, so that its connection can be used again. Ready at
/// its end, or once more than `left` bytes came, or if it failed; dropping the
/// body then closes the connection.
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

/// Subtracts the cost of `frame` from `left`, if there is enough.
fn charge<D: Buf>(frame: &Frame<D>, left: &mut usize) -> bool {
    let size = frame.data_ref().map_or(0, Buf::remaining);
    let rest = left.checked_sub(size.saturating_add(FRAME_COST));
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

/// Returns whether draining `body` can help: it has something left to read,
/// and is not declared longer than `limit`.
pub(crate) fn is_worth_draining<R: Body>(body: &R, limit: usize) -> bool {
    !body.is_end_stream()
        && usize::try_from(body.size_hint().lower()).is_ok_and(|length| length <= limit)
}

/// Reads `body` into `text`. Ready with whether all of it came and was within
/// the `left` bytes; if not, `text` is the start of it.
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
