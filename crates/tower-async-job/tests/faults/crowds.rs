//! Large numbers of clients of one server, on virtual time: [`Learned`] announces the delays, and
//! the standard policy of `tower-poll` follows them.

use std::{cmp::Reverse, collections::BinaryHeap, ops::Range, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use http_polling::{JOB_STATUS, JobState, RETRY_AFTER_MS};
use tokio::time::Instant;
use tower_async_job::{Estimator, Learned, ObservedJob};
use tower_poll::{Hop, PollPolicy, StandardPolicy};

const CLIENTS: usize = 100_000;

/// The budget, in polls per second, of the server that is restarted.
const BUDGET: u32 = 10_000;

const ROUTE: &str = "POST /report";

/// All jobs are submitted within this time.
const SUBMISSIONS: Duration = Duration::from_secs(10);

/// The duration of each job on that server, which has not learned it yet.
const DURATION: Duration = Duration::from_secs(20);

/// The second in which the server goes down, while all jobs run and the budget is exhausted.
const DOWN: usize = 12;

/// The second in which it is up again. It still has the jobs, and has learned nothing.
const UP: usize = 17;

/// The repeats of a failed poll within this time: after 1, 2.5 and 4.75 s.
const REPEATS: u32 = 3;

/// The second after which no failed poll is repeated.
const REPEATED: usize = UP + 4;

/// The second after which no poll that the old server announced arrives: it delayed polls by up to
/// twice the time in which the budget allows one poll of each job.
const FORGOTTEN: usize = DOWN + 10 + 2 * CLIENTS / BUDGET as usize;

#[test]
fn c22_clients_of_a_restarted_server_do_not_come_all_at_once() {
    let polls = simulate(BUDGET, DURATION, DOWN..UP);
    let assert_at_most = |limit: u32, seconds: &[u32], when: &str| {
        let most = seconds.iter().copied().max().unwrap_or_default();
        assert!(most <= limit, "{most} polls a second {when}");
    };
    assert!(polls[DOWN - 1] > BUDGET / 2, "the budget is not used up");
    assert_at_most(BUDGET, &polls[..DOWN], "before the restart");
    // The number of times that each poll announced by the old server is made.
    let repeated = (1 + REPEATS) * BUDGET;
    assert_at_most(repeated, &polls[DOWN..REPEATED], "at the restart");
    // The fresh server does not know the polls that the old one asked for; they come in addition.
    assert_at_most(2 * BUDGET, &polls[REPEATED..FORGOTTEN], "just after it");
    assert_at_most(BUDGET, &polls[FORGOTTEN..], "after it");
}

#[test]
fn c22_clients_follow_delays_that_a_small_budget_spreads_over_minutes() {
    const SMALL: u32 = 500;
    let polls = simulate(SMALL, Duration::from_secs(600), 0..0);
    let most = polls.iter().copied().max().unwrap_or_default();
    assert!(most <= SMALL, "{most} polls a second");
}

/// A caller, with the policy of its call.
struct Client {
    policy: StandardPolicy,
    accepted: Duration,
    polls: u32,
    retries: u32,
}

impl Client {
    /// Returns the time of the next poll, after an answer with these headers at `now`.
    fn next(
        &mut self,
        url: &Uri,
        headers: &HeaderMap,
        delay: Option<Duration>,
        now: Duration,
    ) -> Duration {
        let mut hop = Hop::new(url, url, StatusCode::SEE_OTHER, headers)
            .with_poll(self.polls + 1)
            .with_retries(self.retries)
            .with_state(JobState::Running);
        if let Some(delay) = delay {
            // As sent on the wire.
            let millis = delay.as_micros().div_ceil(1_000);
            hop = hop.with_retry_after(Duration::from_millis(millis as u64));
        }
        now + self.policy.next(&hop).expect("the origin stays the same")
    }
}

/// Runs all clients from submission to result. Returns the number of polls in each second,
/// including failed ones.
fn simulate(budget: u32, duration: Duration, outage: Range<usize>) -> Vec<u32> {
    fastrand::seed(42);
    let begun = Instant::now().into_std();
    let url = Uri::from_static("https://example.com/work/1");
    let failed = HeaderMap::new();
    let running = HeaderMap::from_iter([
        (JOB_STATUS, HeaderValue::from_static("running")),
        (RETRY_AFTER_MS, HeaderValue::from_static("1000")),
    ]);
    let learned = || Learned::new().polls_per_second(budget);
    let (old, fresh) = (learned(), learned());

    let mut clients: Vec<Client> = (0..CLIENTS as u32)
        .map(|number| Client {
            policy: StandardPolicy::new(),
            accepted: SUBMISSIONS * number / CLIENTS as u32,
            polls: 0,
            retries: 0,
        })
        .collect();
    let mut due: BinaryHeap<_> = (clients.iter().enumerate())
        .map(|(number, client)| Reverse((client.accepted, number)))
        .collect();
    let (mut jobs, mut polls) = (0, Vec::new());
    while let Some(Reverse((now, number))) = due.pop() {
        let client = &mut clients[number];
        let second = now.as_secs() as usize;
        if now == client.accepted {
            jobs += 1;
        } else {
            client.polls += 1;
            polls.resize(polls.len().max(second + 1), 0);
            polls[second] += 1;
        }
        if outage.contains(&second) {
            client.retries += 1;
            assert!(client.retries <= REPEATS + 1, "a poll is repeated too soon");
            due.push(Reverse((client.next(&url, &failed, None, now), number)));
            continue;
        }
        client.retries = 0;
        let server = if second < outage.end { &old } else { &fresh };
        let age = now - client.accepted;
        if age >= duration {
            jobs -= 1;
            server.completed(ROUTE, duration);
            continue;
        }
        let mut pending = ObservedJob::new(ROUTE, age);
        pending.polls = client.polls;
        pending.jobs = jobs;
        pending.now = begun + now;
        let delay = server.retry_after(&pending);
        due.push(Reverse((
            client.next(&url, &running, Some(delay), now),
            number,
        )));
    }
    polls
}
