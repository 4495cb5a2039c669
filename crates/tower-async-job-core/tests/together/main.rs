//! Helpers for stores that many nodes share.

mod batches;
mod waiters;
