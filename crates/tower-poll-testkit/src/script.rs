//! The builder of scripts.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_polling::{JobState, Problem, Progress, StatusDocument};

use crate::{answer::Answer, plan::Plan, server::ScriptedServer};

/// The answers of a server, one for each request, in order.
///
/// Each method adds a step. [`on`](Self::on) also says the request that the
/// step expects; the others accept any.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use std::time::Duration;
/// use http::Request;
/// use tower::{Layer, ServiceExt};
/// use tower_poll::PollLayer;
/// use tower_poll_testkit::{Script, http_polling::Progress};
///
/// const SECOND: Duration = Duration::from_secs(1);
/// let server = Script::new()
///     .pending("/work/1", SECOND)
///     .progress("/work/1", 2 * SECOND, Progress::fraction(0.5))
///     .failure("connection reset")
///     .done("the report")
///     .server();
/// let client = PollLayer::new().layer(server.clone());
/// let request = Request::post("http://server.test/report").body(String::new()).unwrap();
/// let response = client.oneshot(request).await.unwrap();
/// assert_eq!(response.body().bytes(), "the report");
/// server.assert_finished();
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Script(Plan);

impl Script {
    /// Creates a script without steps, whose server expects no request.
    ///
    /// ```
    /// let server = tower_poll_testkit::Script::new().server();
    /// server.assert_finished();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a request for a job with `303 See Other` and `Retry-After`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let script = tower_poll_testkit::Script::new().pending("/work/1", Duration::from_secs(3));
    /// ```
    pub fn pending(self, location: &str, retry_after: Duration) -> Self {
        self.answer(Answer::see_other(location).retry_after(retry_after))
    }

    /// Answers with `202 Accepted`, `Location` and `Retry-After`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let script = tower_poll_testkit::Script::new().accepted("/work/1", Duration::from_secs(3));
    /// ```
    pub fn accepted(self, location: &str, retry_after: Duration) -> Self {
        self.answer(Answer::accepted(location).retry_after(retry_after))
    }

    /// Answers as `AsyncJobLayer` does for a running job with this progress; see
    /// [`Answer::progress`] for other documents. Later answers about the job
    /// must then have a `Job-Status` too, as those of [`done`](Self::done) do.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_poll_testkit::{Script, http_polling::Progress};
    ///
    /// let script = Script::new().progress("/work/1", Duration::from_secs(3), Progress::of(1, 4));
    /// ```
    pub fn progress(self, location: &str, retry_after: Duration, progress: Progress) -> Self {
        let path = location.split('?').next().unwrap_or_default();
        let id = path.rsplit('/').next().unwrap_or_default();
        let mut document = StatusDocument::new(id, JobState::Running).with_retry_after(retry_after);
        document.attempt = 1;
        document.progress = Some(progress);
        self.answer(Answer::progress(location, &document))
    }

    /// Answers with a problem document; see [`Answer::problem`].
    ///
    /// ```
    /// use tower_poll_testkit::{Script, http_polling::ProblemType};
    ///
    /// let script = Script::new().problem(ProblemType::JobFailed);
    /// ```
    pub fn problem(self, problem: impl Into<Problem>) -> Self {
        self.answer(Answer::problem(problem))
    }

    /// Fails as a connection does; see [`Answer::failure`].
    ///
    /// ```
    /// let script = tower_poll_testkit::Script::new().failure("connection reset");
    /// ```
    pub fn failure(self, message: impl Into<String>) -> Self {
        self.answer(Answer::failure(message))
    }

    /// Answers with this body as `AsyncJobLayer` does when a job is done: with
    /// 200 and `Job-Status: done`.
    ///
    /// ```
    /// let script = tower_poll_testkit::Script::new().done("the report");
    /// ```
    pub fn done(self, body: impl Into<Bytes>) -> Self {
        self.answer(Answer::ok(body).job_status(JobState::Done))
    }

    /// Answers with this status code and body.
    ///
    /// # Panics
    ///
    /// Panics if there is no such status code.
    ///
    /// ```
    /// let script = tower_poll_testkit::Script::new().response(200, "the report");
    /// ```
    pub fn response(self, status: u16, body: impl Into<Bytes>) -> Self {
        self.answer(Answer::new(status).body(body))
    }

    /// Adds any answer, to any request.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_poll_testkit::{Answer, Script};
    ///
    /// let held = Answer::new(504).after(Duration::from_secs(60));
    /// let script = Script::new().answer(held);
    /// ```
    pub fn answer(self, answer: Answer) -> Self {
        self.step(None, answer)
    }

    /// Adds an answer to a request with this method and target, and to no
    /// other.
    ///
    /// A target that begins with `/` is compared with path and query, any
    /// other with the whole URI.
    ///
    /// ```
    /// use http::Method;
    /// use tower_poll_testkit::{Answer, Script};
    ///
    /// let script = Script::new()
    ///     .on(Method::POST, "/report", Answer::accepted("https://jobs.test/1"))
    ///     .on(Method::GET, "https://jobs.test/1", Answer::ok("the report"));
    /// ```
    pub fn on(self, method: Method, target: impl Into<String>, answer: Answer) -> Self {
        self.step(Some((method, target.into())), answer)
    }

    /// Gives this answer to all further requests. There may be any number of
    /// them, or none.
    ///
    /// # Panics
    ///
    /// Methods that add a step after this one panic.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_poll_testkit::{Answer, Script};
    ///
    /// let running = Answer::see_other("/work/1").retry_after(Duration::from_secs(1));
    /// let script = Script::new().always(running);
    /// ```
    pub fn always(mut self, answer: Answer) -> Self {
        self.0.end_with(answer);
        self
    }

    /// Creates a server that follows the script. Its clock starts now.
    ///
    /// ```
    /// let server = tower_poll_testkit::Script::new().response(204, "").server();
    /// ```
    pub fn server(self) -> ScriptedServer {
        ScriptedServer::new(self.0)
    }

    fn step(mut self, expected: Option<(Method, String)>, answer: Answer) -> Self {
        self.0.push(expected, answer);
        self
    }
}
