//! Notifying observers.

use http_polling::{StatusDocument, without_byte_order_mark};
use tokio::time::Instant;

use super::state::Session;
use crate::{
    coding::decoded,
    dialect::X_PROGRESS,
    progress::{Inner, PollUpdate},
};

impl<P> Session<P> {
    /// Returns the update for the pending answer, of whose body `text` was
    /// read.
    pub(crate) fn update(&self, text: &[u8], now: Instant) -> Option<PollUpdate> {
        let (answer, summary) = (self.answer.as_ref()?, self.summary?);
        let limit = self.shared.config.drain_limit;
        let text = decoded(&answer.headers, text, limit).unwrap_or_default();
        let text = without_byte_order_mark(&text);
        let document = StatusDocument::from_json(text).ok();
        let x_progress = answer.headers.get(X_PROGRESS);
        Some(PollUpdate::new(Inner {
            polls: self.before().polls.saturating_add(self.course.polls),
            url: answer.to.clone(),
            status: answer.status,
            delay: answer.due.saturating_duration_since(now),
            elapsed: now.saturating_duration_since(self.course.sent),
            retry_after: summary.retry_after,
            retries: self.retries,
            state: summary
                .state
                .or(document.as_ref().map(|document| document.state)),
            progress: answer
                .progress
                .as_deref()
                .cloned()
                .or_else(|| document.and_then(|document| document.progress)),
            document: serde_json::from_slice(text).ok(),
            x_progress: x_progress
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        }))
    }

    /// Notifies the observers of the layer and of the call.
    pub(crate) fn notify(&self, update: &PollUpdate) {
        if let Some(observer) = &self.shared.config.observer {
            observer(update);
        }
        if let Some(progress) = self
            .caller
            .as_ref()
            .and_then(|caller| caller.progress.as_ref())
        {
            progress.notify(update);
        }
    }

    /// Returns whether this call has observers.
    pub(crate) fn is_watched(&self) -> bool {
        self.shared.config.observer.is_some()
            || self
                .caller
                .as_ref()
                .is_some_and(|caller| caller.progress.is_some())
    }
}
