//! The activity of a connection, which is closed after it has been idle for too long.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::config::Clients;

/// The activity of a connection. Its stream reports bytes, and its requests their begin and end.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

struct State {
    /// The number of requests whose answers are not sent yet.
    requests: usize,
    /// The time since which there are no requests.
    idle: Instant,
    /// The time at which the head of a request began to arrive.
    head: Option<Instant>,
    /// The answers that are being sent.
    answers: Vec<Weak<dyn Unread>>,
}

/// An answer that may not be read.
pub(super) trait Unread: Send + Sync {
    /// Drops the answer if the client has taken nothing of it for this time, or reads it too slowly.
    fn give_up(&self, now: Instant, patience: Duration);
}

/// The reason why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// The head of a request did not arrive in time.
    Head,
    Idle,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            requests: 0,
            idle: Instant::now(),
            head: None,
            answers: Vec::new(),
        })))
    }

    /// Notes that bytes have arrived: of the head of a request, if there is none.
    pub(super) fn received(&self) {
        let mut state = self.state();
        if state.requests == 0 && state.head.is_none() {
            state.head = Some(Instant::now());
        }
    }

    /// Notes the begin of a request, which ends when the guard is dropped.
    pub(super) fn request(&self) -> Request {
        let mut state = self.state();
        state.requests += 1;
        state.head = None;
        Request(self.clone())
    }

    /// Notes an answer, which is given up if the client takes nothing of it for too long.
    pub(super) fn answers(&self, answer: Weak<dyn Unread>) {
        let mut state = self.state();
        if state.answers.len() == state.answers.capacity() {
            // Those that have ended keep their memory.
            state.answers.retain(|answer| answer.strong_count() > 0);
        }
        state.answers.push(answer);
    }

    /// Gives up the answers that the client does not read.
    fn give_up_unread(&self, clients: &Clients) {
        let answers: Vec<_> = {
            let mut state = self.state();
            state.answers.retain(|answer| answer.strong_count() > 0);
            state.answers.iter().filter_map(Weak::upgrade).collect()
        };
        // Without the lock, since an answer that ends is noted.
        for answer in answers {
            answer.give_up(Instant::now(), clients.body_timeout);
        }
    }

    /// Resolves once the connection has had no request for this time.
    pub(super) async fn idle(&self, clients: &Clients, longest: Duration) {
        loop {
            let now = Instant::now();
            self.give_up_unread(clients);
            let due = {
                let state = self.state();
                (state.requests == 0).then(|| state.idle + longest)
            };
            if due.is_some_and(|due| due <= now) {
                return;
            }
            let usual = now + longest.min(clients.body_timeout);
            sleep_until(due.unwrap_or(usual)).await;
        }
    }

    /// Resolves once the connection has been idle for too long, or the head of a request takes too
    /// long to arrive. Over HTTP/2, bytes that arrive may be no head. Until then, answers are given up
    /// that are not read.
    pub(super) async fn expired(&self, clients: &Clients, is_http2: bool) -> Expired {
        loop {
            let now = Instant::now();
            self.give_up_unread(clients);
            let due = {
                let state = self.state();
                let head = state.head.filter(|_| !is_http2);
                let head = head.map(|head| (head + clients.header_timeout, Expired::Head));
                let idle = (state.idle + clients.idle_timeout, Expired::Idle);
                (state.requests == 0).then(|| head.unwrap_or(idle))
            };
            // A head may begin to arrive at any time.
            let mut next = now + clients.header_timeout.min(clients.body_timeout);
            if let Some((due, expired)) = due {
                if due <= now {
                    return expired;
                }
                next = next.min(due);
            }
            sleep_until(next).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose answer is not sent yet.
pub(super) struct Request(Activity);

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests -= 1;
        state.idle = Instant::now();
    }
}

#[cfg(test)]
impl Activity {
    /// Returns the number of requests whose answers are not sent yet.
    pub(super) fn requests(&self) -> usize {
        self.state().requests
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn expires(activity: &Activity, is_http2: bool) -> (Expired, u64) {
        let begun = Instant::now();
        let expired = activity.expired(&Clients::default(), is_http2).await;
        (expired, begun.elapsed().as_secs())
    }

    async fn seconds(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_less_time_than_an_idle_connection() {
        let activity = Activity::new();
        assert_eq!(expires(&activity, false).await, (Expired::Idle, 75));
        let activity = Activity::new();
        let later = activity.clone();
        tokio::spawn(async move {
            seconds(33).await;
            later.received();
            seconds(5).await;
            later.received();
        });
        assert_eq!(expires(&activity, false).await, (Expired::Head, 43));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_a_request_is_not_idle() {
        let activity = Activity::new();
        activity.received();
        let (first, second) = (activity.request(), activity.request());
        tokio::spawn(async move {
            seconds(200).await;
            drop(first);
            seconds(100).await;
            drop(second);
        });
        activity.received();
        assert_eq!(expires(&activity, false).await, (Expired::Idle, 375));
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_of_http_2_may_be_no_head() {
        let activity = Activity::new();
        activity.received();
        assert_eq!(expires(&activity, true).await, (Expired::Idle, 75));
    }
}
