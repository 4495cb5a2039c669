//! The checker fails for each promise that a history breaks.

mod notices;

use super::*;
use crate::{calls::Task, history::Received, scenario::Scenario};

const SECOND: Duration = Duration::from_secs(1);

/// A history of one call, with an event each second.
struct Story {
    call: Call,
    events: Vec<(Duration, Event)>,
}

impl Story {
    fn of(work: Work) -> Self {
        Self {
            call: Call {
                number: 7,
                work,
                task: Task {
                    millis: 10,
                    size: 16,
                },
                is_keyed: true,
                is_async: true,
                has_callback: false,
                padding: 0,
            },
            events: Vec::new(),
        }
    }

    fn then(mut self, event: Event) -> Self {
        let at = SECOND * self.events.len() as u32;
        self.events.push((at, event));
        self
    }

    fn run(self, process: ProcessId, attempt: u32) -> Self {
        self.run_of(process, attempt, "handle")
    }

    fn run_of(self, process: ProcessId, attempt: u32, handle: &str) -> Self {
        self.then(Event::Run(Run {
            process,
            number: 7,
            attempt,
            nonce: format!("nonce of {process}"),
            handle: handle.to_owned(),
            received: None,
        }))
    }

    fn accepted(self) -> Self {
        self.answered(|answer| {
            answer.is_poll = false;
            answer.status = 303;
            answer.state = Some(JobState::Running);
        })
    }

    fn polled(self, state: JobState) -> Self {
        self.answered(|answer| {
            answer.status = 503;
            answer.state = Some(state);
        })
    }

    /// Adds the result of the run in this process.
    fn result(self, process: ProcessId) -> Self {
        self.answered(|answer| answer.nonce = Some(format!("nonce of {process}")))
    }

    fn answered(self, change: impl FnOnce(&mut Answer)) -> Self {
        let mut answer = Answer {
            number: 7,
            asked: SECOND * self.events.len() as u32,
            is_poll: true,
            status: 200,
            job: Some("job".to_owned()),
            state: Some(JobState::Done),
            nonce: None,
            has_callback: false,
            is_whole: true,
        };
        change(&mut answer);
        self.then(Event::Answered(answer))
    }

    fn killed(self, process: ProcessId) -> Self {
        self.then(Event::Killed(process, Scenario::Any))
            .then(Event::Ended {
                process,
                is_clean: true,
            })
    }

    /// Returns the promises that are broken.
    fn broken(self) -> Vec<Promise> {
        let calls = HashMap::from([(self.call.number, self.call)]);
        let violations = check(&self.events, &calls, false);
        violations.iter().map(|broken| broken.promise).collect()
    }
}

#[test]
fn run_that_is_killed_and_repeated_breaks_no_promise() {
    let story = Story::of(Work::Run).run(1, 1).accepted().killed(1);
    let story = story.polled(JobState::Queued).run(2, 2);
    assert_eq!(story.result(2).result(2).broken(), []);
}

#[test]
fn results_of_two_runs_are_found() {
    let story = Story::of(Work::Run)
        .run(1, 1)
        .accepted()
        .killed(1)
        .run(2, 2);
    assert_eq!(story.result(2).result(1).broken(), [Promise::OneResult]);
}

#[test]
fn result_of_no_run_is_found() {
    let story = Story::of(Work::Run).run(1, 1).accepted();
    assert_eq!(story.result(3).broken(), [Promise::WholeResult]);
}

#[test]
fn result_that_is_cut_is_found() {
    let story = Story::of(Work::Large).run(1, 1).accepted().result(1);
    let story = story.answered(|answer| {
        answer.nonce = Some("nonce of 1".to_owned());
        answer.is_whole = false;
    });
    assert_eq!(story.broken(), [Promise::WholeResult]);
}

#[test]
fn two_ends_are_found() {
    let story = Story::of(Work::Local).run(1, 1).accepted().killed(1);
    let story = story.polled(JobState::Lost).result(1);
    assert_eq!(story.broken(), [Promise::OneResult]);
}

#[test]
fn job_that_is_unknown_after_its_acceptance_is_found() {
    for state in [None, Some(JobState::Unknown), Some(JobState::Expired)] {
        let story = Story::of(Work::Run).run(1, 1).accepted();
        let story = story.answered(|answer| {
            answer.status = 404;
            answer.state = state;
        });
        let broken = story.result(1).broken();
        assert!(broken.contains(&Promise::Known), "{state:?}: {broken:?}");
    }
}

#[test]
fn job_that_is_lost_though_it_is_replayable_is_found() {
    let story = Story::of(Work::Run).run(1, 1).accepted().killed(1);
    let broken = story.polled(JobState::Lost).broken();
    assert_eq!(broken, [Promise::LostOnlyWithItsProcess]);
}

#[test]
fn job_that_is_lost_though_its_process_lives_is_found() {
    let story = Story::of(Work::Local).run(1, 1).accepted().killed(2);
    let broken = story.polled(JobState::Lost).broken();
    assert_eq!(broken, [Promise::LostOnlyWithItsProcess]);
    let story = Story::of(Work::Local).run(1, 1).accepted().killed(1);
    assert_eq!(story.polled(JobState::Lost).broken(), []);
}

#[test]
fn too_many_runs_are_found() {
    let most = Work::Poison.most_attempts();
    let story = (1..=most).fold(Story::of(Work::Poison).accepted(), |story, attempt| {
        story.run(attempt, attempt).killed(attempt)
    });
    let failed = |story: Story| story.polled(JobState::Failed).broken();
    assert_eq!(failed(story), []);
    let story = (1..=most + 1).fold(Story::of(Work::Poison).accepted(), |story, attempt| {
        story.run(attempt, attempt).killed(attempt)
    });
    assert_eq!(failed(story), [Promise::BoundedRuns]);
}

#[test]
fn attempt_that_is_made_twice_is_found_unless_it_was_given_back() {
    let story = Story::of(Work::Run).accepted().run(1, 1).run(2, 1);
    assert_eq!(story.result(2).broken(), [Promise::BoundedRuns]);
    let story = Story::of(Work::Run).accepted().run(1, 1);
    let story = story.then(Event::Terminated(1, None)).run(2, 1);
    assert_eq!(story.result(2).broken(), []);
    let story = Story::of(Work::Run).accepted().run(1, 1).killed(1);
    assert_eq!(story.run(2, 1).result(2).broken(), [Promise::BoundedRuns]);
}

#[test]
fn job_that_fails_before_its_attempts_are_used_up_is_found() {
    let story = Story::of(Work::Run).accepted().run(1, 1).killed(1);
    let broken = story.polled(JobState::Failed).broken();
    assert_eq!(broken, [Promise::FailedOnlyWhenUsedUp]);
}

#[test]
fn second_run_of_what_is_not_replayable_is_found() {
    let story = Story::of(Work::Local)
        .accepted()
        .run(1, 1)
        .killed(1)
        .run(2, 2);
    assert_eq!(story.result(2).broken(), [Promise::LocalRunsOnce]);
}

#[test]
fn two_jobs_of_one_call_are_found() {
    let story = Story::of(Work::Run).accepted().run(1, 1).killed(1);
    let story = story.run_of(2, 1, "another handle").result(2);
    assert_eq!(story.broken(), [Promise::OneJob]);
    let story = Story::of(Work::Run).accepted().run(1, 1);
    let story = story.answered(|answer| {
        answer.job = Some("another job".to_owned());
        answer.nonce = Some("nonce of 1".to_owned());
    });
    assert_eq!(story.broken(), [Promise::OneJob]);
}

#[test]
fn job_that_does_not_end_is_found() {
    let story = Story::of(Work::Run).accepted().run(1, 1);
    assert_eq!(story.polled(JobState::Running).broken(), [Promise::Ends]);
}

#[test]
fn call_with_a_key_that_is_never_accepted_is_found() {
    let story = Story::of(Work::Run).answered(|answer| {
        answer.status = 503;
        answer.state = None;
        answer.job = None;
    });
    assert_eq!(story.broken(), [Promise::Ends]);
}

#[test]
fn answers_in_another_form_are_found() {
    let story = Story::of(Work::Run).run(1, 1).accepted().result(1);
    let story = story.answered(|answer| {
        answer.status = 500;
        answer.state = None;
        answer.job = None;
    });
    assert_eq!(story.broken(), [Promise::Documented]);
}

#[test]
fn process_that_ends_by_itself_is_found() {
    let ended = |is_clean| Event::Ended {
        process: 1,
        is_clean,
    };
    for is_clean in [true, false] {
        let story = Story::of(Work::Run).then(Event::Started(1));
        let story = story.then(ended(is_clean)).accepted().run(2, 1).result(2);
        assert_eq!(story.broken(), [Promise::CleanEnd]);
    }
    let story = Story::of(Work::Poison)
        .run(1, 1)
        .accepted()
        .then(ended(false));
    let story = story.run(2, 2).killed(2).run(3, 3).killed(3);
    assert_eq!(story.polled(JobState::Failed).broken(), []);
}

/// A job that is accepted, and then a return to a backup of before or after that.
fn restored(is_before: bool) -> Story {
    let mut story = Story::of(Work::Run);
    if is_before {
        story = story.then(Event::BackedUp);
    }
    story = story.run(1, 1).accepted();
    if !is_before {
        story = story.then(Event::BackedUp);
    }
    story.result(1).then(Event::Restored)
}

#[test]
fn job_accepted_after_the_backup_may_be_unknown_or_another_one_later() {
    let unknown = |story: Story| {
        story.answered(|answer| {
            answer.status = 404;
            answer.state = Some(JobState::Unknown);
        })
    };
    assert_eq!(unknown(restored(true)).broken(), []);
    assert_eq!(restored(true).polled(JobState::Lost).broken(), []);
    let again = restored(true).run_of(2, 1, "another handle");
    assert_eq!(again.result(2).broken(), []);
    let broken = unknown(restored(false)).broken();
    assert_eq!(broken, [Promise::Known]);
}

#[test]
fn job_accepted_before_the_return_may_be_unknown_though_its_answer_comes_later() {
    let asked_at = |asked: Option<Duration>| {
        let story = Story::of(Work::Run).then(Event::BackedUp);
        let accepted = story.then(Event::Restored).answered(|answer| {
            answer.asked = asked.unwrap_or(answer.asked);
            answer.is_poll = false;
            answer.status = 303;
            answer.state = Some(JobState::Queued);
        });
        let unknown = accepted.answered(|answer| {
            answer.status = 404;
            answer.state = Some(JobState::Unknown);
        });
        unknown.broken()
    };
    assert_eq!(asked_at(Some(SECOND / 2)), []);
    assert_eq!(asked_at(None), [Promise::Known]);
}

#[test]
fn result_after_the_backup_may_be_that_of_another_run_but_only_one() {
    let again = || restored(false).run(2, 2).result(2);
    assert_eq!(again().broken(), []);
    assert_eq!(again().result(1).broken(), [Promise::OneResult]);
    let foreign = restored(true).result(9);
    assert_eq!(foreign.broken(), [Promise::WholeResult]);
}

#[test]
fn job_of_before_the_backup_is_not_lost_or_made_twice() {
    let lost = restored(false).run(2, 2).polled(JobState::Lost);
    assert_eq!(lost.broken(), [Promise::LostOnlyWithItsProcess]);
    let twice = restored(false).run_of(2, 1, "another handle").result(2);
    assert_eq!(twice.broken(), [Promise::OneJob]);
}

#[test]
fn links_that_fail_explain_what_their_process_loses_and_no_more() {
    let lost = |process| {
        let story = Story::of(Work::Local).run(1, 1).accepted();
        let story = story.then(Event::Disturbed(process, Scenario::HalfOpen));
        story.polled(JobState::Lost).broken()
    };
    assert_eq!(lost(Some(1)), []);
    assert_eq!(lost(None), []);
    assert_eq!(lost(Some(2)), [Promise::LostOnlyWithItsProcess]);
}

/// A run of a gateway in process 1, before a server in process 9.
fn behind(work: Work) -> Story {
    let mut story = Story::of(work).run(1, 1).accepted();
    if let Event::Run(run) = &mut story.events[0].1 {
        run.received = Some(Received { by: 9, key: None });
    }
    story
}

#[test]
fn failure_of_the_gateway_is_an_answer_only_where_nothing_can_be_sent_again() {
    let failed = |work| {
        let story = behind(work)
            .killed(9)
            .answered(|answer| answer.status = 502);
        story.broken()
    };
    assert_eq!(failed(Work::Local), []);
    assert_eq!(failed(Work::Run), [Promise::Documented]);
}

#[test]
fn server_that_dies_breaks_off_long_responses_only() {
    let failed = |work, process| {
        let story = behind(work).killed(process).polled(JobState::Failed);
        story.broken()
    };
    assert_eq!(failed(Work::Large, 9), []);
    assert_eq!(failed(Work::Large, 1), [Promise::FailedOnlyWhenUsedUp]);
    assert_eq!(failed(Work::Run, 9), [Promise::FailedOnlyWhenUsedUp]);
}
