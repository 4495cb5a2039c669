//! A simulation of jobs that arrive, end and are polled, on virtual time.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fmt,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use tower_async_job::{Estimator, ObservedJob};
use tower_poll::{Hop, PollPolicy, StandardPolicy, http_polling::JobState};

use crate::ROUTE;

/// The way in which a client applies the delay of an answer.
#[derive(Clone, Copy)]
pub(crate) enum Client {
    /// Exactly, in milliseconds.
    Exact,
    /// In whole seconds: the client reads only Retry-After.
    Seconds,
    /// Like the standard policy of `tower-poll`.
    Standard,
}

impl Client {
    /// Returns the time until the next poll after an answer with `delay`.
    fn wait(self, delay: Duration) -> f64 {
        let delay = delay.as_secs_f64();
        let millis = (delay * 1e3).ceil();
        match self {
            Self::Exact => millis / 1e3,
            Self::Seconds => delay.ceil().max(1.0),
            Self::Standard => {
                let url = Uri::from_static("https://api.example/work/1");
                let headers = ["job-status", "retry-after-ms"]
                    .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")));
                let headers = HeaderMap::from_iter(headers);
                let hop = Hop::new(&url, &url, StatusCode::SEE_OTHER, &headers)
                    .with_state(JobState::Running)
                    .with_retry_after(Duration::from_millis(millis as u64));
                let delay = StandardPolicy::new().next(&hop);
                delay.expect("the origin stays the same").as_secs_f64()
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) polls: f64,
    pub(crate) delay: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7.2} polls {:8.4} delay", self.polls, self.delay)
    }
}

pub(crate) struct Simulated {
    pub(crate) figures: Figures,
    /// The number of polls in each second.
    pub(crate) polls: Vec<usize>,
    /// The delay of each job by its duration, in order.
    late: Vec<f64>,
}

impl Simulated {
    /// Returns the lateness that this fraction of the jobs does not exceed.
    pub(crate) fn late(&self, part: f64) -> f64 {
        let rank = (part * self.late.len() as f64).ceil() as usize;
        self.late[rank.max(1) - 1]
    }
}

impl fmt::Display for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (half, nearly_all) = (100.0 * self.late(0.5), 100.0 * self.late(0.99));
        write!(
            f,
            "{} {half:7.2} % late, {nearly_all:.2} % at p99",
            self.figures
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    // Precedes a poll at the same time, which thus finds the job ended.
    End,
    Submission,
    Poll { answers: u32 },
}

/// Simulates the arrivals, ends and polls of jobs in the order of time.
pub(crate) fn simulate(
    durations: &[f64],
    arrival: impl Fn(usize) -> f64,
    estimator: &dyn Estimator,
    client: Client,
) -> Simulated {
    let mut events = BinaryHeap::new();
    let put = |events: &mut BinaryHeap<_>, at: f64, event, job| {
        // Non-negative floats have the order of their bits.
        events.push(Reverse((at.to_bits(), event, job)));
    };
    for job in 0..durations.len() {
        put(&mut events, arrival(job), Event::Submission, job);
    }
    let begun = Instant::now();
    let (mut pending, mut count, mut delay) = (0, 0_usize, 0.0);
    let (mut polls, mut lateness) = (Vec::new(), Vec::new());
    while let Some(Reverse((now, event, job))) = events.pop() {
        let now = f64::from_bits(now);
        let (arrived, duration) = (arrival(job), durations[job]);
        let answers = match event {
            Event::End => {
                pending -= 1;
                estimator.completed(ROUTE, Duration::from_secs_f64(duration));
                continue;
            }
            Event::Submission => {
                pending += 1;
                put(&mut events, arrived + duration, Event::End, job);
                0
            }
            Event::Poll { answers } => {
                count += 1;
                let second = now as usize;
                if polls.len() <= second {
                    polls.resize(second + 1, 0);
                }
                polls[second] += 1;
                if now >= arrived + duration {
                    let late = now - (arrived + duration);
                    delay += late;
                    lateness.push(late / duration);
                    continue;
                }
                answers
            }
        };
        let mut asked = ObservedJob::new(ROUTE, Duration::from_secs_f64(now - arrived));
        asked.polls = answers;
        asked.jobs = pending;
        asked.now = begun + Duration::from_secs_f64(now);
        let after = client.wait(estimator.retry_after(&asked));
        let poll = Event::Poll {
            answers: answers + 1,
        };
        put(&mut events, now + after, poll, job);
    }
    lateness.sort_by(f64::total_cmp);
    Simulated {
        figures: Figures {
            polls: count as f64 / durations.len() as f64,
            delay: delay / durations.iter().sum::<f64>(),
        },
        polls,
        late: lateness,
    }
}
