//! The answers of a script.

use std::{fmt, future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION, RETRY_AFTER},
};
use http_polling::{
    JOB_STATUS, JSON, JobState, PROBLEM_JSON, Problem, ProblemType, StatusDocument,
    retry_after_values, set_retry_after,
};
use tokio::time::sleep;

use crate::{
    body::ScriptBody,
    failure::{BoxError, ConnectionFailure},
    gate::{Gate, Opening},
};

/// The states of a job whose answer is a problem.
const PROBLEMS: [JobState; 6] = [
    JobState::Failed,
    JobState::TimedOut,
    JobState::Lost,
    JobState::Cancelled,
    JobState::Expired,
    JobState::Unknown,
];

/// One answer of a [`Script`](crate::Script): a response, a failure of the
/// connection, or none at all; at once, after a delay, or when a gate opens.
///
/// Methods that change the response panic if the answer is no response.
///
/// ```
/// use std::time::Duration;
/// use tower_poll_testkit::{Answer, Script, http_polling::JobState};
///
/// let pending = Answer::accepted("/work/1")
///     .retry_after(Duration::from_secs(2))
///     .job_status(JobState::Running)
///     .header("preference-applied", "wait=25")
///     .after(Duration::from_secs(25));
/// let script = Script::new().answer(pending);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Answer {
    outcome: Outcome,
    delay: Duration,
    opening: Option<Opening>,
}

#[derive(Clone)]
enum Outcome {
    Response(Box<Parts>),
    Failure(Arc<dyn Fn() -> BoxError + Send + Sync>),
    Never,
}

#[derive(Clone, Debug, Default)]
struct Parts {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    is_broken_off: bool,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response(parts) => parts.fmt(f),
            Self::Failure(_) => f.write_str("Failure"),
            Self::Never => f.write_str("Never"),
        }
    }
}

impl Answer {
    fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            delay: Duration::ZERO,
            opening: None,
        }
    }

    /// Creates a response with this status code, without headers and body.
    ///
    /// # Panics
    ///
    /// Panics if there is no such status code.
    ///
    /// ```
    /// let answer = tower_poll_testkit::Answer::new(502).body("bad gateway");
    /// ```
    pub fn new(status: u16) -> Self {
        let Ok(status) = StatusCode::from_u16(status) else {
            panic!("there is no status code {status}")
        };
        Self::of(Outcome::Response(Box::new(Parts {
            status,
            ..Parts::default()
        })))
    }

    /// Creates a 200 with this body.
    ///
    /// ```
    /// let answer = tower_poll_testkit::Answer::ok("the report");
    /// ```
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::new(200).body(body)
    }

    /// Creates a 303 to this URL. With [`retry_after`](Self::retry_after), it
    /// announces a job.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_poll_testkit::Answer;
    ///
    /// let pending = Answer::see_other("/work/1").retry_after(Duration::from_secs(1));
    /// ```
    pub fn see_other(location: &str) -> Self {
        Self::new(303).header(LOCATION, location)
    }

    /// Creates a 202 with this URL in `Location`.
    ///
    /// ```
    /// let pending = tower_poll_testkit::Answer::accepted("/work/1");
    /// ```
    pub fn accepted(location: &str) -> Self {
        Self::new(202).header(LOCATION, location)
    }

    /// Creates the pending answer of `AsyncJobLayer`: a 303 to this URL, with
    /// `Job-Status` and the document as body, and with its delay in
    /// `Retry-After` and `retry-after-ms`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_poll_testkit::{
    ///     Answer,
    ///     http_polling::{JobState, Progress, StatusDocument},
    /// };
    ///
    /// let mut document = StatusDocument::new("1", JobState::Running)
    ///     .with_retry_after(Duration::from_millis(1500));
    /// document.progress = Some(Progress::of(3, 12));
    /// let pending = Answer::progress("/work/1", &document);
    /// ```
    pub fn progress(location: &str, document: &StatusDocument) -> Self {
        let mut answer = Self::see_other(location)
            .job_status(document.state)
            .header(CONTENT_TYPE, JSON)
            .body(document.to_json());
        if let Some(delay) = document.retry_after() {
            set_retry_after(&mut answer.parts().headers, delay);
        }
        answer
    }

    /// Creates an answer with a problem document. If the problem is the end of
    /// a job, the answer has its `Job-Status` too.
    ///
    /// The status code is that of the document, or 500 if it has none.
    ///
    /// ```
    /// use tower_poll_testkit::{
    ///     Answer,
    ///     http_polling::{Problem, ProblemType},
    /// };
    ///
    /// let lost = Answer::problem(ProblemType::JobLost); // 500, Job-Status: lost
    /// let full = Answer::problem(
    ///     Problem::new(ProblemType::CapacityExhausted).with_detail("64 jobs wait"),
    /// );
    /// ```
    pub fn problem(problem: impl Into<Problem>) -> Self {
        let problem = problem.into();
        let status = problem
            .status_code()
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let answer = Self::new(status.as_u16())
            .header(CONTENT_TYPE, PROBLEM_JSON)
            .body(problem.to_json());
        let state = problem.problem_type().and_then(state_of);
        match state {
            Some(state) => answer.job_status(state),
            None => answer,
        }
    }

    /// Creates a failure of the connection, a
    /// [`ConnectionFailure`](crate::ConnectionFailure) with this message.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_poll_testkit::Answer;
    ///
    /// // A proxy that cuts a held poll.
    /// let cut = Answer::failure("connection reset").after(Duration::from_secs(10));
    /// ```
    pub fn failure(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::failure_with(move || ConnectionFailure(message.clone()))
    }

    /// Creates a failure with an error of another type.
    ///
    /// ```
    /// use std::io::{Error, ErrorKind};
    ///
    /// let reset = || Error::from(ErrorKind::ConnectionReset);
    /// let answer = tower_poll_testkit::Answer::failure_with(reset);
    /// ```
    pub fn failure_with<E: Into<BoxError>>(error: impl Fn() -> E + Send + Sync + 'static) -> Self {
        Self::of(Outcome::Failure(Arc::new(move || error().into())))
    }

    /// Creates an answer that never comes: the connection is held for ever.
    ///
    /// ```
    /// let hanging = tower_poll_testkit::Answer::never();
    /// ```
    pub fn never() -> Self {
        Self::of(Outcome::Never)
    }

    /// Appends a header.
    ///
    /// # Panics
    ///
    /// Panics if the name or the value is invalid.
    ///
    /// ```
    /// let answer = tower_poll_testkit::Answer::new(401).header("www-authenticate", "Bearer");
    /// ```
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: fmt::Debug>,
        V: TryInto<HeaderValue, Error: fmt::Debug>,
    {
        let name = name.try_into().expect("a valid name of a header");
        let value = value.try_into().expect("a valid value of a header");
        self.parts().headers.append(name, value);
        self
    }

    /// Sets `Retry-After`, in seconds, rounded up; and `retry-after-ms` if the
    /// delay is not in whole seconds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_poll_testkit::Answer;
    ///
    /// let answer = Answer::new(503).retry_after(Duration::from_secs(7));
    /// ```
    pub fn retry_after(mut self, delay: Duration) -> Self {
        let headers = &mut self.parts().headers;
        if delay.subsec_nanos() == 0 {
            headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_secs()));
        } else {
            let [seconds, millis] = retry_after_values(delay);
            headers.insert(RETRY_AFTER, seconds);
            headers.insert(http_polling::RETRY_AFTER_MS, millis);
        }
        self
    }

    /// Sets `Job-Status`.
    ///
    /// ```
    /// use tower_poll_testkit::{Answer, http_polling::JobState};
    ///
    /// let done = Answer::ok("the report").job_status(JobState::Done);
    /// ```
    pub fn job_status(mut self, state: JobState) -> Self {
        let value = state.header_value();
        self.parts().headers.insert(JOB_STATUS, value);
        self
    }

    /// Sets the body.
    ///
    /// ```
    /// let answer = tower_poll_testkit::Answer::new(422).body("no such year");
    /// ```
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.parts().body = body.into();
        self
    }

    /// Breaks the body off: a failure of the connection follows its bytes.
    ///
    /// ```
    /// let answer = tower_poll_testkit::Answer::ok("the first ha").broken_off();
    /// ```
    pub fn broken_off(mut self) -> Self {
        self.parts().is_broken_off = true;
        self
    }

    /// Delays the answer by this time on tokio's clock, which tests can pause.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let slow = tower_poll_testkit::Answer::new(200).after(Duration::from_secs(25));
    /// ```
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Holds the answer until the [`Gate`] opens. A delay counts from then on.
    ///
    /// ```
    /// use tower_poll_testkit::{Answer, Gate};
    ///
    /// let gate = Gate::new();
    /// let held = Answer::ok("done").held_by(&gate);
    /// ```
    pub fn held_by(mut self, gate: &Gate) -> Self {
        self.opening = Some(gate.side());
        self
    }

    fn parts(&mut self) -> &mut Parts {
        match &mut self.outcome {
            Outcome::Response(parts) => parts,
            Outcome::Failure(_) => panic!("a failure of the connection has no response"),
            Outcome::Never => panic!("an answer that never comes has no response"),
        }
    }

    /// Returns the headers, if the answer is a response.
    pub(crate) fn headers(&self) -> Option<&HeaderMap> {
        match &self.outcome {
            Outcome::Response(parts) => Some(&parts.headers),
            Outcome::Failure(_) | Outcome::Never => None,
        }
    }

    /// Waits until it is time for the answer.
    pub(crate) async fn wait(&self) {
        if let Some(opening) = &self.opening {
            opening.clone().wait().await;
        }
        if !self.delay.is_zero() {
            sleep(self.delay).await;
        }
        if let Outcome::Never = self.outcome {
            future::pending().await
        }
    }

    pub(crate) fn into_result(self) -> Result<Response<ScriptBody>, BoxError> {
        match self.outcome {
            Outcome::Response(parts) => {
                let mut response = Response::new(ScriptBody::new(parts.body, parts.is_broken_off));
                *response.status_mut() = parts.status;
                *response.headers_mut() = parts.headers;
                Ok(response)
            }
            Outcome::Failure(error) => Err(error()),
            Outcome::Never => unreachable!("the wait for it never ends"),
        }
    }
}

/// Writes the outcome: `303`, or that there is none.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Response(parts) => write!(f, "answers {}", parts.status.as_u16()),
            Outcome::Failure(_) => f.write_str("fails"),
            Outcome::Never => f.write_str("never answers"),
        }
    }
}

/// Returns the state of a job that ended with this problem.
fn state_of(kind: ProblemType) -> Option<JobState> {
    let mut states = PROBLEMS.into_iter();
    states.find(|state| ProblemType::of(*state) == Some(kind))
}
