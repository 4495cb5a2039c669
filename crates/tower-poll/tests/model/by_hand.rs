//! Jobs that are polled for step by step, stored and resumed.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderMap, Method};
use proptest::{
    collection::vec, option, prelude::*, sample::select, strategy::ValueTree,
    test_runner::TestRunner,
};
use tokio::time::{Instant, sleep, timeout};
use tower::Layer;
use tower_poll::{Job, PendingJob, PollService, Submitted, Update};

use crate::{
    TOLERANCE,
    case::Case,
    cases, check_bare, check_credentials, check_origins,
    ending::{check_cancellation, is_job_of},
    server::{ModelBody, PATIENCE, Seen, Stack, play, polls},
};

type ModelJob = Job<Stack, &'static str, ModelBody>;

/// The next action on a job.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Given up after that time, if any.
    Next(Option<Duration>),
    PollNow,
    /// Nothing, for this time.
    Rest(Duration),
    /// By another process.
    Resume,
    Wait,
    Cancel,
}

/// From the submission or a resumption to the next.
#[derive(Debug, Default)]
struct Part {
    /// The number of earlier requests.
    first: usize,
    start: Duration,
    /// The polls that were asked for at once, by number, if they were sent.
    hasty: Vec<usize>,
}

#[derive(Debug)]
struct ByHand {
    seen: Vec<Seen>,
    parts: Vec<Part>,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let millis = || (0..4_000_u64).prop_map(Duration::from_millis);
    let rest = prop_oneof![
        millis(),
        select(vec![60, 5_000, 100_000]).prop_map(Duration::from_secs),
    ];
    let act = prop_oneof![
        6 => option::weighted(0.3, millis()).prop_map(Act::Next),
        4 => Just(Act::PollNow),
        2 => rest.prop_map(Act::Rest),
        2 => Just(Act::Resume),
    ];
    let last = option::of(select(vec![Act::Wait, Act::Cancel]));
    (vec(act, 0..12), last).prop_map(|(mut acts, last)| {
        acts.extend(last);
        acts
    })
}

/// Submits the request of `case`, and does all of `acts` with the job, as long
/// as there is one.
fn run(case: &Case, acts: &[Act]) -> ByHand {
    play(case, |stack, seen| async move {
        let mut parts = Vec::new();
        let deeds = by_hand(case, acts, stack, &seen, &mut parts);
        let _ = timeout(PATIENCE, deeds).await;
        let seen = seen.lock().expect("not poisoned").clone();
        ByHand { seen, parts }
    })
}

async fn by_hand(
    case: &Case,
    acts: &[Act],
    stack: Stack,
    seen: &Arc<Mutex<Vec<Seen>>>,
    parts: &mut Vec<Part>,
) {
    let count = || seen.lock().expect("not poisoned").len();
    let start = Instant::now();
    let mut service: PollService<Stack> = case.layer().layer(stack);
    let request = case.request();
    let headers = request.headers().clone();
    parts.push(Part::default());
    let Ok(Submitted::Pending(mut job)) = service.submit(request).await else {
        return;
    };
    assert!(
        seen.lock()
            .expect("not poisoned")
            .iter()
            .all(Seen::is_submission)
    );
    for act in acts {
        let before = count();
        let update = match *act {
            Act::Next(None) => job.next().await,
            Act::Next(Some(patience)) => match timeout(patience, job.next()).await {
                Ok(update) => update,
                Err(_) => continue,
            },
            Act::PollNow => {
                parts.last_mut().expect("one at least").hasty.push(before);
                job.poll_now().await
            }
            Act::Rest(time) => {
                sleep(time).await;
                continue;
            }
            Act::Resume => {
                let Some(resumed) = resumed(&service, &job, &headers) else {
                    return;
                };
                job = resumed;
                parts.push(Part {
                    first: before,
                    start: start.elapsed(),
                    hasty: Vec::new(),
                });
                continue;
            }
            Act::Wait => {
                let _ = job.wait().await;
                return;
            }
            Act::Cancel => {
                let url = job.pending().url().clone();
                if job.cancel().await.is_ok() || count() > before {
                    let seen = seen.lock().expect("not poisoned");
                    assert_eq!(seen[before].method, Method::DELETE);
                    assert_eq!(seen.len(), before + 1);
                    assert!(is_job_of(&seen[before].uri, &url), "{seen:#?}");
                }
                return;
            }
        };
        match update {
            Some(Ok(Update::Pending(_))) => assert!(count() <= before + 1, "one at a time"),
            Some(Ok(Update::Final(_)) | Err(_)) | None => {
                let is_over = job.next().await.is_none();
                assert!(is_over, "nothing comes after the end");
            }
        }
    }
}

/// The job as another process goes on with it.
fn resumed(service: &PollService<Stack>, job: &ModelJob, headers: &HeaderMap) -> Option<ModelJob> {
    let stored = serde_json::to_string(&job.pending()).expect("a job is written");
    let read: PendingJob = serde_json::from_str(&stored).expect("what was written is read");
    assert_eq!(
        serde_json::to_string(&read).expect("a job is written"),
        stored
    );
    service.resume(&read, headers).ok()
}

proptest! {
    #[test]
    fn a_job_that_is_polled_by_hand_keeps_to_the_same(case in cases(), acts in acts()) {
        let case = Case { stop: None, ..case };
        let run = run(&case, &acts);
        let polls = polls(&run.seen);
        check_credentials(&run.seen, &case)?;
        check_origins(&run.seen, &case)?;
        check_cancellation(&run.seen, &case)?;
        check_bare(polls, &case, true)?;
        let first_poll = run.seen.len() - polls.len();
        for (number, part) in run.parts.iter().enumerate() {
            let end = run.parts.get(number + 1).map_or(run.seen.len(), |next| next.first);
            let own = part.first.max(first_poll)..end;
            let own = own.filter(|at| !run.seen[*at].is_cancellation());
            let latest = part.start.saturating_add(case.deadline()).saturating_add(TOLERANCE);
            for at in own.clone() {
                let poll = &run.seen[at];
                prop_assert!(poll.at <= latest, "{:#?}", run);
                let answered = run.seen[at - 1].answered.unwrap_or_default().max(part.start);
                let is_due = poll.at >= answered + case.settings.min_delay;
                prop_assert!(is_due || part.hasty.contains(&at), "{:#?}", run);
            }
            prop_assert!(own.count() <= case.settings.max_polls as usize, "{:#?}", run);
        }
    }
}

/// Otherwise the properties would hold for want of anything that could break
/// them.
#[test]
fn acts_reach_what_there_is() {
    let mut runner = TestRunner::deterministic();
    let (mut resumed, mut cancelled, mut hasty) = (0, 0, 0);
    for _ in 0..600 {
        let case = cases().new_tree(&mut runner).expect("a case").current();
        let acts = acts().new_tree(&mut runner).expect("acts").current();
        let run = run(&Case { stop: None, ..case }, &acts);
        let polls = polls(&run.seen);
        let last = run.parts.last().expect("one at least");
        resumed += u32::from(run.parts.len() > 1 && last.first < run.seen.len());
        cancelled += u32::from(polls.iter().any(Seen::is_cancellation));
        hasty += run.parts.iter().map(|part| part.hasty.len()).sum::<usize>();
    }
    assert!(
        resumed >= 10 && cancelled >= 10 && hasty >= 100,
        "{resumed} {cancelled} {hasty}"
    );
}
