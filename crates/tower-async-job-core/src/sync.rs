//! The locks and counters of the in-memory store, or loom's models of them.
//!
//! Only what threads meet at goes through here, so that the model checker runs the store's own
//! source. Reference counts that carry no ordering of their own stay `std`'s.

#[cfg(http_polling_loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};
#[cfg(not(http_polling_loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

use std::sync::PoisonError;

/// Locks, whether or not an earlier holder panicked.
///
/// Nothing that can panic runs between two writes that belong together, so what a panicking
/// holder leaves behind is still consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
