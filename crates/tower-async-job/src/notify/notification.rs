//! The notification of a job's end, and the result of an attempt to send it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use http_polling::JobState;
use tower_async_job_core::JobHandle;

/// The end of a job, to be sent by the function of a [`Notifier`](crate::Notifier).
///
/// ```
/// use tower_async_job::{AsyncJobLayer, Notification, Notified};
///
/// async fn send(notification: Notification) -> Notified {
///     let target = String::from_utf8_lossy(&notification.target);
///     println!("to {target}: {} is {}", notification.url, notification.state.as_str());
///     Notified::Done
/// }
///
/// let layer = AsyncJobLayer::new();
/// let notifier = layer.notifier(send);
/// # drop(notifier);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The job's name, which is the same in each attempt: the receiver's key against repeats.
    pub handle: JobHandle,
    /// The job's URL as its client knows it, which is the right to read the result: below the
    /// [public base](crate::Builder::public_base), so path-absolute unless that is absolute.
    pub url: String,
    /// The bytes that were [noted](crate::Builder::notify_when) when the job was accepted.
    pub target: Bytes,
    /// The state in which the job ended.
    pub state: JobState,
    /// The status of the result at the job's URL, if there is one: that of the handler's response,
    /// or of the problem with which the job ended.
    pub status: Option<StatusCode>,
    /// The time of the end, for people to read.
    pub ended: SystemTime,
    /// The time since the end, by the store's clock.
    pub age: Duration,
    /// The number of this attempt, from 1. Attempts of nodes that crashed count too.
    pub attempt: u32,
}

impl Notification {
    /// Creates the first attempt to notify of a job that has ended now as done, without a status and
    /// noted bytes: for tests of the function.
    ///
    /// ```
    /// use tower_async_job::{Notification, store::JobHandle};
    ///
    /// let mut notification = Notification::new(JobHandle::random(), "/work/1");
    /// notification.target = "https://hooks.example".into();
    /// assert_eq!(notification.attempt, 1);
    /// ```
    pub fn new(handle: JobHandle, url: impl Into<String>) -> Self {
        Self {
            handle,
            url: url.into(),
            target: Bytes::new(),
            state: JobState::Done,
            status: None,
            ended: SystemTime::now(),
            age: Duration::ZERO,
            attempt: 1,
        }
    }
}

/// The result of an attempt to notify.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job::Notified;
///
/// /// Returns the result for the status of the receiver's answer.
/// fn result_of(status: u16, attempt: u32) -> Notified {
///     match status {
///         200..300 => Notified::Done,
///         410 => Notified::Refused,
///         _ => Notified::Again(Duration::from_secs(5) * attempt),
///     }
/// }
///
/// assert_eq!(result_of(503, 2), Notified::Again(Duration::from_secs(10)));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notified {
    /// The receiver has it. There is no other attempt.
    Done,
    /// The receiver wants none. There is no other attempt.
    Refused,
    /// The next attempt is made after this time, as long as the result is kept.
    Again(Duration),
}
