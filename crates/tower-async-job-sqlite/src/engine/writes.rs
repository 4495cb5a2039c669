//! Operations of the writer.

use tower_async_job_core::StoreError;

use super::slot::Reply;
use crate::transaction::{Step, Transaction};

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It adds data of clients, and fails if the file is full.
    Growing,
    /// It adds data of clients that need not be durable yet.
    Lazy,
    /// It adds little or nothing, and is possible even if the file has reached its limit.
    Small,
}

/// An operation with the call that waits for it.
pub(crate) trait Operation: Send {
    fn kind(&self) -> Kind;

    /// Returns whether nothing waits for it any more.
    fn is_abandoned(&self) -> bool;

    /// Performs it, possibly again after a failure, and keeps the answer.
    fn perform(&mut self, transaction: &Transaction<'_>) -> Step<()>;

    /// Keeps an error as the answer.
    fn refuse(&mut self, error: StoreError);

    /// Gives the answer, once it is committed.
    fn answer(self: Box<Self>);
}

/// An operation as a closure.
pub(crate) struct Write<T, F> {
    pub(crate) kind: Kind,
    pub(crate) act: F,
    pub(crate) answer: Option<Result<T, StoreError>>,
    pub(crate) reply: Reply<T>,
}

impl<T, F> Operation for Write<T, F>
where
    T: Send,
    F: FnMut(&Transaction<'_>) -> Step<T> + Send,
{
    fn kind(&self) -> Kind {
        self.kind
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_abandoned()
    }

    fn perform(&mut self, transaction: &Transaction<'_>) -> Step<()> {
        self.answer = Some(Ok((self.act)(transaction)?));
        Ok(())
    }

    fn refuse(&mut self, error: StoreError) {
        self.answer = Some(Err(error));
    }

    fn answer(self: Box<Self>) {
        if let Some(answer) = self.answer {
            self.reply.send(answer);
        }
    }
}

/// An operation for which nothing waits. It may be lost.
pub(crate) struct Note<F>(pub(crate) F);

impl<F> Operation for Note<F>
where
    F: FnMut(&Transaction<'_>) -> Step<()> + Send,
{
    fn kind(&self) -> Kind {
        Kind::Small
    }

    fn is_abandoned(&self) -> bool {
        false
    }

    fn perform(&mut self, transaction: &Transaction<'_>) -> Step<()> {
        (self.0)(transaction)
    }

    fn refuse(&mut self, _: StoreError) {}

    fn answer(self: Box<Self>) {}
}
