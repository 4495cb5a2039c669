//! Panics of the application's code: each ends its own call, is logged, and is contained.
//!
//! Functions of the application are never called in a destructor, since a second panic during
//! unwinding aborts the process. Values of the application may be dropped there, by
//! [`drop_quietly`].

use std::{
    any::Any,
    future::poll_fn,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// The payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// The error of an application function that panicked; the panic is logged already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panicked;

/// Calls a function of the application.
pub(crate) fn catching<T>(function: &str, call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        log(function, payload);
        Panicked
    })
}

/// Polls a future of the application; `Err` is the payload of its panic.
pub(crate) fn poll_catching<F: Future + ?Sized>(
    future: &mut Pin<Box<F>>,
    cx: &mut Context<'_>,
) -> Poll<Result<F::Output, Payload>> {
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => Poll::Ready(Err(payload)),
    }
}

/// Drives a future of the application until it ends or panics.
pub(crate) async fn logged<F: Future + ?Sized>(
    function: &str,
    mut future: Pin<Box<F>>,
) -> Result<F::Output, Panicked> {
    let ended = poll_fn(|cx| poll_catching(&mut future, cx)).await;
    drop_quietly(future);
    ended.map_err(|payload| {
        log(function, payload);
        Panicked
    })
}

/// Drops a value of the application, whose destructor may panic.
pub(crate) fn drop_quietly<T>(value: T) {
    let _ = catching("a destructor", || drop(value));
}

/// Logs a panic and drops its payload.
pub(crate) fn log(function: &str, payload: Payload) {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(message, "{function} panicked");
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // The destructor of each payload may panic again.
        mem::forget(another);
    }
}
