//! The rules, as functions over what was seen.

pub(super) mod browsers;
pub(super) mod cancelling;
pub(super) mod documents;
pub(super) mod job;
pub(super) mod keys;
pub(super) mod never_deferred;
pub(super) mod polls;
pub(super) mod results;
pub(super) mod stranger;
pub(super) mod submission;
