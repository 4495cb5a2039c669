//! The steps of a script.

use std::fmt;

use http::Method;

use crate::{answer::Answer, received::ReceivedRequest};

/// The steps of a script, and the answer to all requests after them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    steps: Vec<Step>,
    always: Option<Answer>,
}

/// A request that a step accepts, and its answer.
#[derive(Clone, Debug)]
struct Step {
    expected: Option<(Method, String)>,
    answer: Answer,
}

impl Plan {
    pub(crate) fn push(&mut self, expected: Option<(Method, String)>, answer: Answer) {
        self.assert_open();
        self.steps.push(Step { expected, answer });
    }

    pub(crate) fn end_with(&mut self, answer: Answer) {
        self.assert_open();
        self.always = Some(answer);
    }

    fn assert_open(&self) {
        assert!(
            self.always.is_none(),
            "no step can follow `Script::always`, which answers all further requests"
        );
    }

    /// Returns the answer to request `number`, counted from 0, or the
    /// difference between the request and the plan.
    pub(crate) fn answer(
        &self,
        number: usize,
        request: &ReceivedRequest,
    ) -> Result<Answer, String> {
        let count = self.steps.len();
        let Some(step) = self.steps.get(number) else {
            let past_the_end = || match count {
                0 => format!("the script has no steps, and the client sent `{request}`"),
                _ => format!("the client sent `{request}` after step {count}, which is the last"),
            };
            return self.always.clone().ok_or_else(past_the_end);
        };
        match &step.expected {
            Some(expected) if !is_match(expected, request) => {
                let (method, target) = expected;
                let sent = if target.starts_with('/') {
                    request.to_string()
                } else {
                    format!("{} {}", request.method, request.uri)
                };
                Err(format!(
                    "step {} of {count} expects `{method} {target}`, and the client sent `{sent}`",
                    number + 1,
                ))
            }
            _ => Ok(step.answer.clone()),
        }
    }

    /// Describes the first step that is left after `count` requests.
    pub(crate) fn left_after(&self, count: usize) -> Option<String> {
        let step = self.steps.get(count)?;
        let (number, all) = (count + 1, self.steps.len());
        Some(format!("step {number} of {all} ({step}) got no request"))
    }
}

/// Writes the expected request and the answer.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((method, target)) = &self.expected {
            write!(f, "`{method} {target}` ")?;
        }
        self.answer.fmt(f)
    }
}

fn is_match((method, target): &(Method, String), request: &ReceivedRequest) -> bool {
    let has_target = if target.starts_with('/') {
        request.target() == target
    } else {
        request.uri == target.as_str()
    };
    request.method == *method && has_target
}
