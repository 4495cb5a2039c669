use http_polling::{JobState, Problem};

use crate::{Outcome, RecordedOutcome, StoredResponse};

/// The outcome of an ended job, with the state that it ended in.
#[derive(Debug)]
pub(super) enum Kept {
    /// The handler's answer, of a job that is done.
    Response(StoredResponse),
    /// Any other end, with or without a problem of its own.
    Other(JobState, Option<Box<Problem>>),
}

impl Kept {
    pub(super) fn state(&self) -> JobState {
        match self {
            Self::Response(_) => JobState::Done,
            Self::Other(state, _) => *state,
        }
    }

    pub(super) fn recorded(&self) -> Option<RecordedOutcome> {
        match self {
            Self::Response(response) => Some(RecordedOutcome::Response(response.clone())),
            Self::Other(_, problem) => problem.clone().map(RecordedOutcome::Problem),
        }
    }

    /// Returns whether it came of this outcome.
    pub(super) fn is_of(&self, outcome: &Outcome) -> bool {
        self.state() == outcome.state()
            && match (self, outcome) {
                (Self::Response(kept), Outcome::Done(response)) => kept == response,
                (
                    Self::Other(_, Some(kept)),
                    Outcome::Failed(problem) | Outcome::TimedOut(problem),
                ) => **kept == *problem,
                _ => false,
            }
    }

    /// The bytes that it is accounted for with.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Response(response) => response.len(),
            Self::Other(_, problem) => problem
                .as_ref()
                .map_or(0, |problem| problem.to_json().len()),
        }
    }
}

impl From<Outcome> for Kept {
    fn from(outcome: Outcome) -> Self {
        let state = outcome.state();
        match outcome {
            Outcome::Done(response) => Self::Response(response),
            Outcome::Failed(problem) | Outcome::TimedOut(problem) => {
                Self::Other(state, Some(Box::new(problem)))
            }
        }
    }
}
