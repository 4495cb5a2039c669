//! The one timer of a call, for the end of its stage and the pace of its upload.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::Body;
use http_polling::ProblemType;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{body::Spool, config::limits::Pace};

/// Allocated when first needed: most calls never are.
#[derive(Default)]
pub(crate) struct Timer {
    armed: Option<Pin<Box<Armed>>>,
}

pin_project! {
    struct Armed {
        // `None` until the next stage is polled.
        end: Option<Instant>,
        #[pin]
        sleep: Sleep,
    }
}

/// The reason why a stage is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Stage,
    /// The upload is too slow.
    Upload,
}

impl From<Over> for ProblemType {
    /// Returns the problem with which the call then ends.
    fn from(over: Over) -> Self {
        match over {
            Over::Stage => Self::JobTimedOut,
            Over::Upload => Self::RequestTimeout,
        }
    }
}

impl Timer {
    pub(crate) fn set(&mut self, end: Instant) {
        match &mut self.armed {
            Some(armed) => *armed.as_mut().project().end = Some(end),
            None => {
                let sleep = sleep_until(end);
                let end = Some(end);
                self.armed = Some(Box::pin(Armed { end, sleep }));
            }
        }
    }

    /// Ends a stage; the end of the next is not yet known.
    pub(crate) fn unset(&mut self) {
        if let Some(armed) = &mut self.armed {
            *armed.as_mut().project().end = None;
        }
    }

    /// Returns the end of the stage if it is known.
    fn end(&self) -> Option<Instant> {
        self.armed.as_ref().and_then(|armed| armed.end)
    }

    /// Waits for the end of a stage, which is computed if unknown, or for a late upload.
    pub(crate) fn poll<B: Body>(
        &mut self,
        cx: &mut Context<'_>,
        end: impl FnOnce() -> Instant,
        upload: Option<&Spool<B>>,
        pace: &Pace,
    ) -> Poll<Over> {
        if self.end().is_none() {
            self.set(end());
        }
        let armed = self.armed.as_mut().expect("just set").as_mut().project();
        let end = armed.end.expect("just set");
        let mut sleep = armed.sleep;
        let mut has_fired = false;
        loop {
            let look_at = upload.and_then(|upload| upload.look_at(pace));
            let at = look_at.map_or(end, |look_at| look_at.min(end));
            // A postponed end is noticed when the timer fires.
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
