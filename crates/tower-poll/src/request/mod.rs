//! The submission: the caller's wishes for it, and the parts of it that polls
//! need.

mod caller;
mod idempotency;
mod kept;
mod prefer_async;
mod resubmit;
mod submission;

pub(crate) use self::{
    caller::{Caller, Stop},
    idempotency::add_key,
    kept::{KeptHeaders, KeptText, may_be_kept},
    prefer_async::prefer,
    submission::{Sent, Submission, may_be_pending},
};
pub use self::{
    caller::{DoNotWait, StopSignal},
    kept::is_of_one_message,
    prefer_async::PreferAsync,
    resubmit::Resubmit,
};
