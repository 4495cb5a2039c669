//! The one timer of a call.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    error::{Error, Kind},
    session::Session,
};

pub(super) type Output<T> = Poll<Result<T, Error>>;

/// Gives the error of a call at its deadline.
pub(super) fn poll_deadline<T, P>(
    timer: Pin<&mut Option<Sleep>>,
    session: &Session<P>,
    cx: &mut Context<'_>,
) -> Output<T> {
    ready!(poll_timer(timer, session.deadline(), cx));
    Poll::Ready(Err(Error::new(Kind::Deadline)))
}

/// Waits until `end`, by the timer that is there or a new one.
pub(super) fn poll_timer(
    mut timer: Pin<&mut Option<Sleep>>,
    end: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    match timer.as_mut().as_pin_mut() {
        None => timer.set(Some(sleep_until(end))),
        Some(sleep) if sleep.deadline() != end => sleep.reset(end),
        Some(_) => {}
    }
    match timer.as_pin_mut() {
        Some(sleep) => sleep.poll(cx),
        None => Poll::Ready(()),
    }
}
