//! Notifications and cancellations.

use super::*;
use crate::history::Notice;

impl Story {
    /// Accepts the call, and says that the end will be notified of.
    fn accepted_with_callback(self) -> Self {
        self.answered(|answer| {
            answer.is_poll = false;
            answer.status = 303;
            answer.state = Some(JobState::Running);
            answer.has_callback = true;
        })
    }

    fn notified(self, state: JobState) -> Self {
        self.notified_of("handle", state)
    }

    fn notified_of(self, handle: &str, state: JobState) -> Self {
        self.then(Event::Notified(Notice {
            number: 7,
            handle: handle.to_owned(),
            state,
        }))
    }

    /// Asks for the cancellation of the job, which is answered with this status.
    fn cancelled(self, status: Option<u16>) -> Self {
        let asked = self.then(Event::CancelAsked { number: 7 });
        match status {
            Some(status) => asked.then(Event::CancelAnswered { number: 7, status }),
            None => asked,
        }
    }

    /// Is told by a poll that the job is cancelled.
    fn polled_cancelled(self) -> Self {
        self.answered(|answer| {
            answer.status = 410;
            answer.state = Some(JobState::Cancelled);
        })
    }

    /// Is told by a poll that the job is unknown.
    fn polled_unknown(self) -> Self {
        self.answered(|answer| {
            answer.status = 404;
            answer.state = Some(JobState::Unknown);
        })
    }
}

fn with_callback() -> Story {
    Story::of(Work::Run).run(1, 1).accepted_with_callback()
}

#[test]
fn end_that_is_notified_of_breaks_no_promise() {
    use JobState::{Done, Lost};
    assert_eq!(with_callback().result(1).notified(Done).broken(), []);
    let twice = with_callback().notified(Done).notified(Done).result(1);
    assert_eq!(twice.broken(), []);
    let lost = Story::of(Work::Local).run(1, 1).accepted_with_callback();
    let lost = lost.killed(1).polled(Lost).notified(Lost);
    assert_eq!(lost.broken(), []);
}

#[test]
fn end_that_is_not_notified_of_is_found() {
    let broken = with_callback().result(1).broken();
    assert_eq!(broken, [Promise::Notified]);
    let unasked = Story::of(Work::Run).run(1, 1).accepted().result(1);
    assert_eq!(unasked.broken(), []);
    let restored = |is_before| {
        let mut story = Story::of(Work::Run).run(1, 1);
        if is_before {
            story = story.then(Event::BackedUp);
        }
        story = story.accepted_with_callback();
        if !is_before {
            story = story.then(Event::BackedUp);
        }
        story.then(Event::Restored).result(1).broken()
    };
    assert_eq!(restored(true), []);
    assert_eq!(restored(false), [Promise::Notified]);
}

#[test]
fn notification_of_a_job_that_has_not_ended_is_found() {
    let early = [Promise::NotifiedOfTheEnd];
    let running = with_callback().notified(JobState::Running).result(1);
    // The state itself, and the end that contradicts it.
    assert_eq!(running.broken(), [early[0], early[0]]);
    let seen = with_callback().notified(JobState::Done);
    assert_eq!(seen.polled(JobState::Running).result(1).broken(), early);
    let asked_before = with_callback().notified(JobState::Done).answered(|answer| {
        answer.asked = SECOND;
        answer.status = 303;
        answer.state = Some(JobState::Running);
    });
    assert_eq!(asked_before.result(1).broken(), []);
}

#[test]
fn notification_of_another_end_is_found() {
    let early = [Promise::NotifiedOfTheEnd];
    let failed = with_callback().notified(JobState::Failed).result(1);
    assert_eq!(failed.broken(), early);
    let other = with_callback().notified_of("another", JobState::Done);
    assert_eq!(other.result(1).broken(), early);
}

#[test]
fn notification_from_before_a_return_to_a_backup_may_be_of_another_end() {
    let story = with_callback().then(Event::BackedUp).result(1);
    let story = story.notified(JobState::Done).then(Event::Restored);
    let story = story.polled(JobState::Queued).run(2, 2).result(2);
    assert_eq!(story.notified(JobState::Done).broken(), []);
}

#[test]
fn job_that_is_cancelled_breaks_no_promise() {
    let story = || Story::of(Work::Run).run(1, 1).accepted();
    let cancelled = story().cancelled(Some(202)).polled_cancelled();
    assert_eq!(cancelled.broken(), []);
    assert_eq!(story().cancelled(None).polled_cancelled().broken(), []);
    assert_eq!(story().polled_cancelled().broken(), [Promise::Documented]);
    // It had ended, and was removed.
    for status in [None, Some(204), Some(503)] {
        let removed = story().result(1).cancelled(status).polled_unknown();
        assert_eq!(removed.broken(), []);
    }
}

#[test]
fn cancellation_that_is_forgotten_is_found() {
    let cancelled = || {
        Story::of(Work::Run)
            .run(1, 1)
            .accepted()
            .cancelled(Some(202))
    };
    for story in [cancelled().polled(JobState::Running), cancelled()] {
        let broken = story.result(1).broken();
        assert!(broken.contains(&Promise::Cancelled), "{broken:?}");
    }
    assert!(
        cancelled()
            .polled_unknown()
            .broken()
            .contains(&Promise::Known)
    );
    let killed = || cancelled().polled_cancelled().killed(1).polled_cancelled();
    assert_eq!(killed().broken(), []);
    assert_eq!(killed().run(2, 2).broken(), [Promise::Cancelled]);
}
