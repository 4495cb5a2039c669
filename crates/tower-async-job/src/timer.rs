//! The one timer of a call: the end of its stage, and of the time that its client has to send.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::Body;
use http_polling::ProblemType;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::{Pace, Spool};

/// Made when it is first needed.
#[derive(Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
}

/// An end that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Stage,
    /// The upload has kept its reader waiting for too long.
    Upload,
}

impl From<Over> for ProblemType {
    /// Returns the problem of a call that is given up then.
    fn from(over: Over) -> Self {
        match over {
            Over::Stage => Self::JobTimedOut,
            Over::Upload => Self::RequestTimeout,
        }
    }
}

impl Timer {
    /// Waits for the end of a stage, or for an upload to be late.
    pub(crate) fn poll<B: Body>(
        &mut self,
        cx: &mut Context<'_>,
        end: Instant,
        upload: Option<&Spool<B>>,
        pace: &Pace,
    ) -> Poll<Over> {
        let mut has_fired = false;
        loop {
            let look_at = upload.and_then(|upload| upload.look_at(pace));
            let at = look_at.map_or(end, |look_at| look_at.min(end));
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
            // What is put off is found when it fires.
            if has_fired || at < sleep.deadline() {
                sleep.as_mut().reset(at);
            }
            ready!(sleep.as_mut().poll(cx));
            has_fired = true;
            if Instant::now() >= end {
                return Poll::Ready(Over::Stage);
            }
            if upload.is_some_and(|upload| upload.is_late(cx, pace)) {
                return Poll::Ready(Over::Upload);
            }
        }
    }
}
