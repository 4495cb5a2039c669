//! Sending requests within the limits of the check.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::BodyExt;
use http_polling::{PREFER, retry_after, same_origin};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, timeout};
use tower::{BoxError, ServiceExt};
use tower_poll::is_of_one_message;

use crate::{
    arguments::Connection,
    check::{
        evidence::{Absence, Evidence},
        location::{JobUrls, contains},
        record::{Answer, Exchange, Sent},
        step::Step,
    },
    client,
    exchange::Submission,
    request::Whole,
    transport::Transport,
    words,
};

/// The maximum number of times that the user's request is sent, apart from repeats of refused ones.
pub(in crate::check) const MAX_JOBS: u32 = 12;

/// The maximum number of requests.
pub(in crate::check) const MAX_REQUESTS: u32 = 200;

/// The requests of [`MAX_REQUESTS`] that are kept for the deletion of jobs.
const FOR_DELETION: u32 = 2 * MAX_JOBS;

/// The maximum length of a body that is read.
const MAX_BODY: usize = 1024 * 1024;

/// The time limit of an exchange that does not wait for a job.
pub(super) const EXCHANGE: Duration = Duration::from_secs(15);

/// The time for which a submission that is refused is repeated.
const PATIENCE: Duration = Duration::from_secs(10);

/// The shortest delay of a repeat.
const LEAST_DELAY: Duration = Duration::from_secs(1);

/// The request of the user.
#[derive(Clone, Debug)]
pub(in crate::check) struct Subject {
    pub(in crate::check) method: Method,
    pub(in crate::check) uri: Uri,
    pub(in crate::check) headers: HeaderMap,
    pub(in crate::check) body: Bytes,
    /// The header of another principal.
    pub(in crate::check) stranger: Option<(HeaderName, HeaderValue)>,
}

/// A client that counts and records.
pub(super) struct Client {
    transport: Transport<Whole>,
    connection: Connection,
    pub(super) subject: Subject,
    pub(super) end: Instant,
    pub(super) requests: Cell<u32>,
    pub(super) jobs: Cell<u32>,
    pub(super) evidence: RefCell<Evidence>,
    /// The jobs that are to be deleted.
    pub(super) accepted: RefCell<Vec<JobUrls>>,
    /// The error of the first request, if it was not answered.
    pub(super) unanswered: RefCell<Option<BoxError>>,
}

impl Client {
    pub(super) fn new(
        transport: Transport<Whole>,
        connection: &Connection,
        subject: Subject,
        end: Instant,
    ) -> Self {
        Self {
            transport,
            connection: connection.clone(),
            subject,
            end,
            requests: Cell::default(),
            jobs: Cell::default(),
            evidence: RefCell::default(),
            accepted: RefCell::default(),
            unanswered: RefCell::default(),
        }
    }

    /// Returns the time that is left.
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Returns whether a job at this URL may be asked for.
    pub(super) fn allows(&self, url: &Uri) -> bool {
        client::allows(&self.connection, &self.subject.uri, url)
    }

    /// Returns whether no more requests may be sent, except for deletions.
    pub(super) fn is_exhausted(&self) -> bool {
        self.requests.get() >= MAX_REQUESTS - FOR_DELETION
    }

    pub(super) fn lacks(&self, step: Step, absence: Absence) {
        self.evidence.borrow_mut().lacks(step, absence);
    }

    /// Sends the user's request, with further fields, and with a wish to be deferred.
    pub(super) async fn submit(
        &self,
        step: Step,
        fields: &[(HeaderName, &'static str)],
    ) -> Option<Exchange> {
        let body = self.subject.body.clone();
        self.submit_body(step, &values(fields), body, EXCHANGE)
            .await
    }

    pub(super) async fn submit_body(
        &self,
        step: Step,
        fields: &[(HeaderName, HeaderValue)],
        body: Bytes,
        limit: Duration,
    ) -> Option<Exchange> {
        let is_last = self.jobs.get() >= MAX_JOBS;
        let text = format!("the request was sent {MAX_JOBS} times, which is the limit");
        if let Some(text) = is_last.then_some(text).or_else(|| self.limit(step)) {
            self.lacks(step, Absence::Late(text));
            return None;
        }
        self.jobs.set(self.jobs.get() + 1);
        let mut headers = self.subject.headers.clone();
        if !headers.contains_key(PREFER) {
            headers.insert(PREFER, HeaderValue::from_static("respond-async"));
        }
        for (name, value) in fields {
            headers.insert(name, value.clone());
        }
        let sent = Sent {
            method: self.subject.method.clone(),
            uri: self.subject.uri.clone(),
            headers,
            body,
        };
        let mut exchange = self.exchange(step, sent.clone(), limit).await?;
        let mut patience = PATIENCE;
        while let Some(delay) =
            refusal(&exchange.answer).filter(|delay| *delay <= patience.min(self.left()))
        {
            // The place of a job that was cancelled may take a while to become free.
            sleep(delay).await;
            patience -= delay;
            self.evidence.borrow_mut().forget(step);
            exchange = self.exchange(step, sent.clone(), limit).await?;
        }
        if let Some(job) = exchange.job().filter(|job| self.allows(&job.location)) {
            let mut accepted = self.accepted.borrow_mut();
            if !accepted.iter().any(|other| other.bare == job.bare) {
                accepted.push(job);
            }
        }
        Some(exchange)
    }

    /// Asks the job resource.
    pub(super) async fn ask(
        &self,
        step: Step,
        method: Method,
        uri: &Uri,
        fields: &[(HeaderName, &'static str)],
    ) -> Option<Exchange> {
        self.ask_within(step, method, uri, &values(fields), EXCHANGE)
            .await
    }

    pub(super) async fn get(&self, step: Step, uri: &Uri) -> Option<Exchange> {
        self.ask(step, Method::GET, uri, &[]).await
    }

    pub(super) async fn ask_within(
        &self,
        step: Step,
        method: Method,
        uri: &Uri,
        fields: &[(HeaderName, HeaderValue)],
        limit: Duration,
    ) -> Option<Exchange> {
        let mut headers = self.poll_headers(uri);
        for (name, value) in fields {
            headers.insert(name, value.clone());
        }
        let sent = Sent {
            method,
            uri: uri.clone(),
            headers,
            body: Bytes::new(),
        };
        self.exchange(step, sent, limit).await
    }

    /// Returns the headers of a poll: those of the user that are not for one message, and at
    /// another origin only those that tell nothing of the user.
    fn poll_headers(&self, uri: &Uri) -> HeaderMap {
        let same = same_origin(uri, &self.subject.uri);
        let mut headers = HeaderMap::new();
        for (name, value) in &self.subject.headers {
            if !is_of_one_message(name) && (same || !value.is_sensitive()) {
                headers.append(name, value.clone());
            }
        }
        headers
    }

    /// Returns the limit of the check that is reached, after which jobs are only deleted.
    fn limit(&self, step: Step) -> Option<String> {
        let is_deletion = step == Step::CleanedUp;
        if self.requests.get() >= MAX_REQUESTS || (self.is_exhausted() && !is_deletion) {
            return Some(format!("the limit of {MAX_REQUESTS} requests is reached"));
        }
        let is_over = self.left().is_zero() && !is_deletion;
        is_over.then(|| "the time limit is reached (--max-time)".to_owned())
    }

    async fn exchange(&self, step: Step, sent: Sent, limit: Duration) -> Option<Exchange> {
        if !step.is_submission() && !self.allows(&sent.uri) {
            let text = "the job is at another origin, which is not allowed".to_owned();
            self.lacks(step, Absence::NotSent(text));
            return None;
        }
        let may_change = !step.is_submission() && !sent.method.is_safe();
        if may_change && contains(&sent.uri, &self.subject.uri) {
            let text = "the URL of the job may be that of the user's own resource".to_owned();
            self.lacks(step, Absence::NotSent(text));
            return None;
        }
        if let Some(text) = self.limit(step) {
            self.lacks(step, Absence::Late(text));
            return None;
        }
        self.requests.set(self.requests.get() + 1);
        let (limit, is_cut) = match step {
            Step::CleanedUp => (limit, false),
            _ => (limit.min(self.left()), self.left() < limit),
        };
        let mut request = Request::new(Whole::new(sent.body.clone()));
        *request.method_mut() = sent.method.clone();
        *request.uri_mut() = sent.uri.clone();
        *request.headers_mut() = sent.headers.clone();
        if step.is_submission() {
            request.extensions_mut().insert(Submission);
        }
        let began = Instant::now();
        let answering = async {
            let response = self.transport.clone().oneshot(request).await?;
            let took = began.elapsed();
            Ok::<_, BoxError>((answer(response).await, took))
        };
        match timeout(limit, answering).await {
            Ok(Ok((answer, took))) => {
                let exchange = Exchange {
                    step,
                    sent,
                    answer,
                    began,
                    took,
                };
                self.evidence.borrow_mut().add(exchange.clone());
                Some(exchange)
            }
            Ok(Err(error)) => {
                let text = format!("{} was not answered: {error}", sent.method);
                self.lacks(step, Absence::Late(text));
                self.unanswered.borrow_mut().get_or_insert(error);
                None
            }
            Err(_) => {
                let limit = words::delay(limit);
                let text = format!("{} was not answered within {limit}", sent.method);
                self.lacks(
                    step,
                    match is_cut {
                        true => Absence::Late(text),
                        false => Absence::Unanswered(text),
                    },
                );
                None
            }
        }
    }
}

/// Returns the time after which a submission is to be repeated that the server had no place for.
fn refusal(answer: &Answer) -> Option<Duration> {
    if !matches!(answer.status.as_u16(), 429 | 503) {
        return None;
    }
    let delay = retry_after(&answer.headers, SystemTime::now())?;
    Some(delay.max(LEAST_DELAY))
}

/// Returns fields whose values are known beforehand.
pub(super) fn values(fields: &[(HeaderName, &'static str)]) -> Vec<(HeaderName, HeaderValue)> {
    let value = |(name, value): &(HeaderName, &'static str)| {
        (name.clone(), HeaderValue::from_static(value))
    };
    fields.iter().map(value).collect()
}

/// Reads an answer to its end, or to the limit.
async fn answer(response: Response<Incoming>) -> Answer {
    let (parts, mut body) = response.into_parts();
    let mut read = BytesMut::new();
    let mut whole = true;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            whole = false;
            break;
        };
        if let Some(data) = frame.data_ref() {
            if read.len() + data.len() > MAX_BODY {
                whole = false;
                break;
            }
            read.extend_from_slice(data);
        }
    }
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: read.freeze(),
        whole,
    }
}
