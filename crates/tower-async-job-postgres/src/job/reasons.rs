//! The problems of jobs that the store has ended itself.

use http_polling::{Problem, ProblemType};

/// Returns the problem of an end with this reason.
pub(super) fn problem_of(reason: i16, attempt: i32) -> Option<Problem> {
    Some(match reason {
        1 => Problem::new(ProblemType::JobTimedOut),
        2 => {
            let detail = format!("none of its {attempt} attempts came to an end");
            Problem::new(ProblemType::JobFailed).with_detail(detail)
        }
        3 => {
            let detail = "the stored request cannot be read";
            Problem::new(ProblemType::JobFailed).with_detail(detail)
        }
        _ => return None,
    })
}
