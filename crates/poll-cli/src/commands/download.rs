//! Downloads that are continued after a break (`--continue`).

mod part;

use std::{path::PathBuf, time::Duration};

use http::{
    HeaderValue, Method, Response, StatusCode, Uri,
    header::{IF_RANGE, RANGE},
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;
use tokio::time::sleep;
use tower_poll::{PendingJob, Update};

use self::part::{Answer, encoding, judge, length, strong_validator};
use super::session::Session;
use crate::{
    arguments::Follow,
    client::following,
    exit::{Code, Failure},
    output::{Partial, State},
};

/// The longest pause before a download goes on.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The job that a call is about.
pub(super) enum Subject<'a> {
    /// The job of this submission, which goes to this URL.
    Submission(String, &'a Uri),
    /// A job that is resumed.
    Job(Box<PendingJob>),
}

/// Goes on with the download of an earlier call, if there is one.
///
/// # Errors
///
/// Fails if it is the download of another job, too.
pub(super) async fn go_on(
    subject: Subject<'_>,
    session: &Session,
    follow: &Follow,
) -> Result<Option<Code>, Failure> {
    let Some(target) = target(follow) else {
        return Ok(None);
    };
    let Some((partial, mut state)) = Partial::find(&target)? else {
        return Ok(None);
    };
    let is_same = match &subject {
        Subject::Submission(name, _) => state.request.as_ref() == Some(name),
        Subject::Job(job) => is_same_job(job.url(), state.job.url()),
    };
    if !is_same {
        let text = "is the beginning of another result: remove it to start over";
        return Err(Failure::new(
            Code::Usage,
            format!("{} {text}", partial.name()),
        ));
    }
    state.job = match subject {
        // Credentials go nowhere else, whatever the file says.
        Subject::Submission(_, url) => state.job.with_origin(url.clone()),
        Subject::Job(job) => *job,
    };
    session.slot.set(Some(state.job.clone()));
    let (name, length) = (partial.name(), partial.length);
    let note = format!("poll: {name} has {length} bytes: only the rest is fetched");
    session.screen.note(&note);
    let download = Download::new(session, follow, state, partial);
    match download.ask().await {
        Ok(answer) => download.run(answer).await.map(Some),
        Err(failure) => Err(download.kept(failure)),
    }
}

/// Writes the final answer to the file of `-o`, and goes on after breaks.
/// Returns the answer if that cannot be done.
pub(super) async fn start(
    response: Response<Incoming>,
    session: &Session,
    follow: &Follow,
) -> Result<Result<Code, Response<Incoming>>, Failure> {
    let (Some(target), Some(job)) = (target(follow), source(session)) else {
        return Ok(Err(response));
    };
    if response.status() != StatusCode::OK {
        return Ok(Err(response));
    }
    let state = State {
        request: session.last.get().submission,
        job,
        validator: strong_validator(response.headers()),
        length: length(&response),
        encoding: encoding(response.headers()),
    };
    let partial = Partial::create(&target, &state)?;
    session.slot.set(Some(state.job.clone()));
    let download = Download::new(session, follow, state, partial);
    session.screen.clear();
    follow.output().dump(&response).await?;
    download.run(Answer::Whole(response)).await.map(Ok)
}

/// Returns the file to write, if `--continue` applies to it.
fn target(follow: &Follow) -> Option<PathBuf> {
    let output = follow.continues.then(|| follow.output().file).flatten()?;
    Partial::target(&output)
}

/// Returns the URL of the last answer as a job, if a GET there returns the same
/// again. Jobs of other kinds of APIs are asked for elsewhere.
fn source(session: &Session) -> Option<PendingJob> {
    let exchange = session.last.get();
    if exchange.method != Method::GET {
        return None;
    }
    match session.slot.job() {
        Some(job) => {
            let wire = serde_json::to_value(&job).ok()?;
            (*job.url() == exchange.url && wire["dialect"].is_null()).then_some(job)
        }
        None => {
            let url = exchange.url.to_string();
            let wire = json!({ "version": 1, "url": url, "origin": url });
            serde_json::from_value(wire).ok()
        }
    }
}

/// Returns whether two URLs name one job. The hints in the query of
/// `AsyncJobLayer` change with every answer.
fn is_same_job(one: &Uri, other: &Uri) -> bool {
    let without_hints = |url: &Uri| {
        let query = url.query().unwrap_or_default().split('&');
        let is_hint = |pair: &&str| pair.starts_with("poll=") || pair.starts_with("due=");
        query
            .filter(|pair| !is_hint(pair))
            .collect::<Vec<_>>()
            .join("&")
    };
    http_polling::same_origin(one, other)
        && one.path() == other.path()
        && without_hints(one) == without_hints(other)
}

struct Download<'a> {
    session: &'a Session,
    follow: &'a Follow,
    state: State,
    partial: Partial,
    /// The number of breaks in a row that got no further.
    failures: u32,
    /// The greatest length that the file has had.
    furthest: u64,
    /// The number of bytes that this call has received.
    received: u64,
}

impl<'a> Download<'a> {
    fn new(session: &'a Session, follow: &'a Follow, state: State, partial: Partial) -> Self {
        Self {
            session,
            follow,
            state,
            furthest: partial.length,
            partial,
            failures: 0,
            received: 0,
        }
    }

    /// Writes answers until the file is complete.
    async fn run(mut self, mut answer: Answer) -> Result<Code, Failure> {
        loop {
            let broken = match self.take(answer).await {
                Ok(None) => break,
                Ok(Some(broken)) => broken,
                Err(failure) => return Err(self.kept(failure)),
            };
            if self.failures > self.follow.poll_retries {
                return Err(self.kept(broken));
            }
            let length = self.partial.length;
            let note = format!("poll: {broken}: it goes on after {length} bytes");
            self.session.screen.note(&note);
            sleep(self.pause()).await;
            answer = match self.ask().await {
                Ok(answer) => answer,
                Err(failure) => return Err(self.kept(failure)),
            };
        }
        self.session.slot.set(None);
        self.session.last.set_downloaded(self.received);
        self.partial.finish()?;
        Ok(Code::Success)
    }

    /// Writes an answer. Returns the reason if the file is not complete then.
    async fn take(&mut self, answer: Answer) -> Result<Option<Failure>, Failure> {
        // A part without the length of the whole need not be the last one.
        let mut is_whole = true;
        let response = match answer {
            Answer::Complete => return Ok(None),
            Answer::Changed => {
                self.failures += 1;
                self.restart(None)?;
                let changed = Failure::new(Code::Range, "the result has changed");
                return Ok(Some(changed));
            }
            Answer::Whole(response) => {
                self.restart(Some(&response))?;
                response
            }
            Answer::Rest(response, length) => {
                self.state.length = self.state.length.or(length);
                is_whole = self.state.length.is_some();
                response
            }
        };
        let mut body = response.into_body();
        let ended = loop {
            match body.frame().await {
                None => break None,
                Some(Err(error)) => break Some(Failure::of_body(error.into())),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.partial.put(data)?;
                        self.received += data.len() as u64;
                    }
                }
            }
        };
        self.failures = match self.partial.length > self.furthest {
            true => 0,
            false => self.failures + 1,
        };
        self.furthest = self.furthest.max(self.partial.length);
        let length = self.state.length.unwrap_or(self.partial.length);
        match ended {
            None if self.partial.length > length => {
                let text = "the server sent more than the result has";
                Err(Failure::new(Code::Range, text))
            }
            None if self.partial.length < length => {
                let text = "the final body is too short";
                Ok(Some(Failure::new(Code::Partial, text)))
            }
            None if !is_whole => {
                let text = "the length of the result is unknown";
                Ok(Some(Failure::new(Code::Partial, text)))
            }
            ended => Ok(ended),
        }
    }

    /// Drops the bytes so far. `response` has all of the result.
    fn restart(&mut self, response: Option<&Response<Incoming>>) -> Result<(), Failure> {
        if self.partial.length > 0 && response.is_some() {
            self.session
                .screen
                .note("poll: the server sends the whole result: it starts over");
        }
        self.state.validator = response.and_then(|response| strong_validator(response.headers()));
        self.state.length = response.and_then(length);
        self.state.encoding = response.and_then(|response| encoding(response.headers()));
        self.partial.restart(&self.state)
    }

    /// Asks for the rest of the result.
    async fn ask(&self) -> Result<Answer, Failure> {
        let mut headers = self.session.headers.clone();
        let mut layer = following(&self.session.connection, self.follow, &self.session.screen);
        let validator = self.state.validator.as_deref();
        let validator = validator.filter(|_| self.partial.length > 0);
        let validator = validator.and_then(|text| HeaderValue::from_str(text).ok());
        let from = match validator {
            Some(validator) => {
                let range = format!("bytes={}-", self.partial.length);
                headers.insert(RANGE, HeaderValue::try_from(range).expect("visible ASCII"));
                headers.insert(IF_RANGE, validator);
                layer = layer.keep_header(RANGE).keep_header(IF_RANGE);
                self.partial.length
            }
            None => {
                headers.remove(RANGE);
                headers.remove(IF_RANGE);
                0
            }
        };
        let mut job = self.session.resume_with(&self.state.job, layer, &headers)?;
        loop {
            match job.next().await {
                Some(Ok(Update::Pending(_))) => {}
                Some(Ok(Update::Final(response))) => {
                    self.session.screen.clear();
                    self.follow.output().dump(&response).await?;
                    return judge(response, from, &self.state);
                }
                Some(Err(error)) => {
                    if error.job_state().is_some() {
                        self.session.slot.set(None);
                    }
                    return Err(self.session.failure(error));
                }
                None => return Err(Failure::new(Code::Other, "the job has no more answers")),
            }
        }
    }

    /// Returns the pause before the next request, which is longer after each
    /// break that got no further.
    fn pause(&self) -> Duration {
        match self.failures {
            0 => self.follow.min_delay,
            failures => Duration::from_secs(1 << (failures - 1).min(5)).min(LONGEST_PAUSE),
        }
    }

    /// Adds to a failure that the bytes are kept.
    fn kept(&self, mut failure: Failure) -> Failure {
        let (name, length) = (self.partial.name(), self.partial.length);
        // Without a job, the result is gone.
        let hint = match self.session.slot.job() {
            Some(_) => "the same command goes on",
            None => "remove it to start over",
        };
        let note = format!("{name} keeps the first {length} bytes: {hint}");
        failure.notes.push(note);
        failure
    }
}
