//! The locks and counters of the in-memory store, or loom's models of them.
//!
//! It covers only the points where threads meet, so that the model checker runs the store's own
//! source. Reference counts without ordering of their own stay those of `std`.

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

/// Locks, even if an earlier holder panicked.
///
/// No code that can panic runs between two writes that belong together, so the data is consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
