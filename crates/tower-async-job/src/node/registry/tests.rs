use std::{
    sync::atomic::AtomicUsize,
    task::{Context, Wake, Waker},
};

use super::{leases::BATCH, *};

const SECOND: Duration = Duration::from_secs(1);

/// A count of woken jobs.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Woken {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn insert(registry: &Registry, id: u128, at: Instant, woken: &Arc<Woken>) -> (JobId, Deadline) {
    let id = JobId::from_bits(id);
    let context = JobContext::new(1);
    let waker = Waker::from(woken.clone());
    context.register(&mut Context::from_waker(&waker));
    let (deadline, _) = registry.insert(Lease::new(id, 1), context, at, Instant::now());
    (id, deadline)
}

#[tokio::test(start_paused = true)]
async fn jobs_are_woken_at_their_deadline_and_not_before() {
    let (registry, woken) = (Registry::new(None), Arc::<Woken>::default());
    let now = Instant::now();
    insert(&registry, 1 << 64, now + SECOND, &woken);
    insert(&registry, 2 << 64, now + 2 * SECOND, &woken);
    assert_eq!(registry.wake_due(now), NextDeadline::At(now + SECOND));
    let almost = now + SECOND - Duration::from_nanos(1);
    assert_eq!(registry.wake_due(almost), NextDeadline::At(now + SECOND));
    assert_eq!(woken.count(), 0);
    let next = registry.wake_due(now + SECOND);
    assert_eq!(next, NextDeadline::At(now + 2 * SECOND));
    assert_eq!(woken.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_between_two_microseconds_is_not_early() {
    let (registry, woken) = (Registry::new(None), Arc::<Woken>::default());
    let deadline = Instant::now() + Duration::from_nanos(1_500);
    insert(&registry, 1, deadline, &woken);
    registry.wake_due(deadline);
    assert_eq!(woken.count(), 0);
    registry.wake_due(deadline + Duration::from_micros(1));
    assert_eq!(woken.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mass_of_deadlines_takes_many_turns() {
    let (registry, woken) = (Registry::new(None), Arc::<Woken>::default());
    let now = Instant::now();
    for id in 0..1_000 {
        insert(&registry, id << 64, now, &woken);
    }
    assert_eq!(registry.wake_due(now), NextDeadline::Now);
    assert_eq!(woken.count(), WAKES);
    let turns = std::iter::repeat_with(|| registry.wake_due(now));
    assert_eq!(turns.take(16).last(), Some(NextDeadline::Never));
    assert_eq!(woken.count(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn deadlines_are_watched_by_one_task_at_a_time() {
    let registry = Registry::new(None);
    let now = Instant::now();
    let insert = |id| {
        let lease = Lease::new(JobId::from_bits(id), 1);
        registry.insert(lease, JobContext::new(1), now + SECOND, now)
    };
    let (first, unwatched) = insert(1);
    assert!(unwatched);
    let (second, unwatched) = insert(2);
    assert!(!unwatched);
    registry.remove(&Lease::new(JobId::from_bits(1), 1), first);
    registry.remove(&Lease::new(JobId::from_bits(2), 1), second);
    assert_eq!(registry.wake_due(now), NextDeadline::Never);
    assert!(insert(3).1, "the task has ended");
    registry.unwatched();
    assert!(insert(4).1, "the task is gone");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_can_be_moved() {
    let (registry, woken) = (Registry::new(None), Arc::<Woken>::default());
    let now = Instant::now();
    let (id, deadline) = insert(&registry, 1, now + 2 * SECOND, &woken);
    let (deadline, _) = registry.reschedule(&id, deadline, now + SECOND);
    assert_eq!(registry.wake_due(now), NextDeadline::At(now + SECOND));
    registry.remove(&Lease::new(id, 1), deadline);
    assert_eq!(registry.wake_due(now + 2 * SECOND), NextDeadline::Never);
    assert_eq!((woken.count(), registry.pending()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_moved_after_the_last_has_passed_is_watched_again() {
    let (registry, woken) = (Registry::new(None), Arc::<Woken>::default());
    let now = Instant::now();
    let (id, deadline) = insert(&registry, 1, now, &woken);
    assert_eq!(registry.wake_due(now), NextDeadline::Now);
    assert_eq!(registry.wake_due(now), NextDeadline::Never);
    let (_, unwatched) = registry.reschedule(&id, deadline, now + SECOND);
    assert!(unwatched);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_woken_to_replace_the_task_that_watched() {
    let (registry, woken) = (Registry::new(None), Arc::<Woken>::default());
    insert(&registry, 1, Instant::now() + SECOND, &woken);
    assert!(!registry.watch());
    registry.unwatched();
    assert_eq!(woken.count(), 1);
    assert!(registry.watch());
    assert!(!registry.watch());
}

#[tokio::test(start_paused = true)]
async fn ids_whose_first_halves_are_alike_keep_deadlines_of_their_own() {
    let (registry, woken) = (Registry::new(None), Arc::<Woken>::default());
    let now = Instant::now();
    let (first, deadline) = insert(&registry, 1, now + SECOND, &woken);
    insert(&registry, 2, now + SECOND, &woken);
    registry.remove(&Lease::new(first, 1), deadline);
    registry.wake_due(now + SECOND + Duration::from_micros(1));
    assert_eq!(woken.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn leases_and_jobs_are_gone_through_in_slices() {
    let (registry, woken) = (Registry::new(Some(30 * SECOND)), Arc::<Woken>::default());
    let now = Instant::now();
    for id in 0..2_500 {
        insert(&registry, id << 64, now, &woken);
    }
    let (mut last, mut slices) = (None, Vec::new());
    loop {
        let leases = registry.leases_after(last);
        let Some(lease) = leases.last() else { break };
        last = Some(lease.id);
        slices.push(leases.len());
    }
    assert_eq!(slices, [BATCH, BATCH, 500]);
    let mut last = registry.abandon_after(None);
    assert_eq!(woken.count(), SLICE);
    while last.is_some() {
        last = registry.abandon_after(last);
    }
    assert_eq!(woken.count(), 2_500);
}

/// The run of a job, by an epoch of its lease.
struct Running {
    lease: Lease,
    context: JobContext,
    deadline: Deadline,
}

impl Running {
    fn new(registry: &Registry, epoch: u64, since: Instant) -> Self {
        let lease = Lease::new(JobId::from_bits(1), epoch);
        let context = JobContext::new(1);
        let (deadline, _) = registry.insert(lease, context.clone(), since + 600 * SECOND, since);
        Self {
            lease,
            context,
            deadline,
        }
    }

    fn is_lost(&self) -> bool {
        self.context.cancel_reason() == Some(CancelReason::LeaseLost)
    }
}

#[tokio::test(start_paused = true)]
async fn s08_a_run_whose_job_is_claimed_again_leaves_the_new_one_alone() {
    let registry = Registry::new(Some(30 * SECOND));
    let now = Instant::now();
    let old = Running::new(&registry, 1, now);
    let new = Running::new(&registry, 2, now);
    assert!(old.is_lost() && !new.context.is_cancelled());
    registry.renewed(&old.lease, Renewal::Lost, now);
    registry.remove(&old.lease, old.deadline);
    assert!(!new.context.is_cancelled());
    assert_eq!(registry.leases_after(None), [new.lease]);
    assert_eq!(registry.pending(), 1);
    registry.cancel(&new.lease.id);
    assert_eq!(new.context.cancel_reason(), Some(CancelReason::Requested));
    registry.remove(&new.lease, new.deadline);
    assert_eq!((registry.pending(), registry.has_leases()), (0, false));
}

#[tokio::test(start_paused = true)]
async fn s08_a_run_that_is_entered_after_its_follower_is_stopped() {
    let registry = Registry::new(Some(30 * SECOND));
    let now = Instant::now();
    let new = Running::new(&registry, 2, now);
    let old = Running::new(&registry, 1, now);
    assert!(old.is_lost() && !new.context.is_cancelled());
    registry.remove(&old.lease, old.deadline);
    assert_eq!(registry.leases_after(None), [new.lease]);
}

#[tokio::test(start_paused = true)]
async fn s16_a_run_is_stopped_when_a_tenth_of_its_lease_is_left() {
    let registry = Registry::new(Some(30 * SECOND));
    let begun = Instant::now();
    let run = Running::new(&registry, 1, begun);
    registry.renewed(&run.lease, Renewal::Held, begun + 9 * SECOND);
    // It is checked once more, and no task is woken for it.
    let at = |second| registry.wake_due(begun + second * SECOND);
    assert_eq!(at(26), NextDeadline::At(begun + 27 * SECOND));
    assert_eq!(at(27), NextDeadline::At(begun + 36 * SECOND));
    assert!(!run.context.take_due() && !run.is_lost());
    at(36);
    assert!(run.is_lost());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_found_again_is_no_longer_missing() {
    let registry = Registry::new(Some(30 * SECOND));
    let now = Instant::now();
    let run = Running::new(&registry, 1, now);
    registry.renewed(&run.lease, Renewal::Missing, now);
    assert!(run.context.is_missing());
    registry.renewed(&run.lease, Renewal::Held, now);
    assert!(!run.context.is_missing() && !run.context.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_has_no_lease_to_renew_or_to_lose() {
    for is_local in [true, false] {
        let registry = Registry::new(Some(30 * SECOND));
        let now = Instant::now();
        let run = Running::new(&registry, 1, now);
        if is_local {
            registry.cancel(&run.lease.id);
        } else {
            registry.renewed(&run.lease, Renewal::Cancelled, now);
        }
        assert_eq!(run.context.cancel_reason(), Some(CancelReason::Requested));
        assert!(!registry.has_leases());
        registry.wake_due(now + 60 * SECOND);
        assert!(!run.is_lost());
        registry.remove(&run.lease, run.deadline);
        assert_eq!(registry.pending(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn s08_end_of_an_earlier_run_leaves_a_later_one_that_is_cancelled() {
    for lease in [Some(30 * SECOND), None] {
        let registry = Registry::new(lease);
        let now = Instant::now();
        let [first, second] = [1, 2].map(|epoch| Lease::new(JobId::from_bits(1), epoch));
        let enter = |lease, context: &JobContext| {
            registry
                .insert(lease, context.clone(), now + 60 * SECOND, now)
                .0
        };
        let later = JobContext::new(2);
        let [ended, cancelled] = [enter(first, &JobContext::new(1)), enter(second, &later)];
        registry.cancel(&second.id);
        registry.remove(&first, ended);
        assert_eq!(registry.pending(), 1, "the later run is still here");
        assert_eq!(registry.abandon_after(None), Some(second.id));
        registry.remove(&second, cancelled);
        assert_eq!(registry.pending(), 0);
    }
}
