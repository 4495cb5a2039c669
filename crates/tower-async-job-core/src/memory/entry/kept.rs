use http_polling::{JobState, Problem};

use crate::{
    end::Outcome,
    lease::Lease,
    message::StoredResponse,
    record::{RecordedOutcome, ResultRef},
};

/// The outcome of an ended job, with its state.
#[derive(Debug)]
pub(super) enum Kept {
    /// The handler's answer, if the job is done.
    Response(StoredResponse),
    /// Any other end.
    Other(JobState, Option<Box<Other>>),
}

#[derive(Debug)]
pub(super) enum Other {
    Problem(Problem),
    Streamed {
        head: StoredResponse,
        chunks: u32,
        len: u64,
    },
}

impl Kept {
    pub(super) fn problem(state: JobState, problem: Option<Problem>) -> Self {
        Self::Other(
            state,
            problem.map(|problem| Box::new(Other::Problem(problem))),
        )
    }

    pub(super) fn state(&self) -> JobState {
        match self {
            Self::Response(_) => JobState::Done,
            Self::Other(state, _) => *state,
        }
    }

    pub(super) fn recorded(&self) -> Option<RecordedOutcome> {
        match self {
            Self::Response(response) => Some(RecordedOutcome::Response(response.clone())),
            Self::Other(_, other) => Some(match &**other.as_ref()? {
                Other::Problem(problem) => RecordedOutcome::Problem(Box::new(problem.clone())),
                Other::Streamed { head, .. } => RecordedOutcome::Head(head.clone()),
            }),
        }
    }

    /// Returns the body of the response, written by this lease.
    pub(super) fn result(&self, lease: Lease) -> Option<ResultRef> {
        match self {
            Self::Response(response) => Some(ResultRef::new(lease, response.body_len())),
            Self::Other(_, other) => match &**other.as_ref()? {
                Other::Problem(_) => None,
                Other::Streamed { chunks, len, .. } => {
                    Some(ResultRef::new(lease, *len).with_chunks(*chunks))
                }
            },
        }
    }

    /// Returns its bytes in the budget, without chunks, which are accounted separately.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Response(response) => response.len(),
            Self::Other(_, other) => other.as_ref().map_or(0, |other| match &**other {
                Other::Problem(problem) => problem.to_json().len(),
                Other::Streamed { head, .. } => head.len(),
            }),
        }
    }
}

impl From<Outcome> for Kept {
    fn from(outcome: Outcome) -> Self {
        let state = outcome.state();
        match outcome {
            Outcome::Done(response) => Self::Response(response),
            Outcome::Streamed { head, chunks, len } => {
                let streamed = Other::Streamed { head, chunks, len };
                Self::Other(state, Some(Box::new(streamed)))
            }
            Outcome::Failed(problem) | Outcome::TimedOut(problem) | Outcome::Lost(problem) => {
                Self::problem(state, Some(problem))
            }
        }
    }
}
