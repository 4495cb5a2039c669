//! The answers of the URLs of runs.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use http_polling::{CANCEL_AFTER, JOB_STATUS, JSON, JobState, PROBLEM_JSON, Problem};
use tokio::time::timeout;
use tower::BoxError;

use super::{
    report::Report,
    runs::{Fate, Runs, State, Token},
};

/// The bytes of a report.
const LIMIT: usize = 64 << 10;

/// The time for a report to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers a request. The response to one for a run has the state of its job.
pub(super) async fn answer<B>(runs: &Runs, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    match try_answer(runs, request).await {
        Ok(state) => told(&state),
        Err(refusal) => refusal.response(),
    }
}

async fn try_answer<B>(runs: &Runs, request: Request<B>) -> Result<State, Refusal>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let segment = request.uri().path().strip_prefix("/runs/");
    let token = segment.and_then(Token::of).ok_or(Refusal::Unknown)?;
    let state = under_way(runs.fate(token))?;
    match *request.method() {
        Method::GET | Method::HEAD => Ok(state),
        Method::PUT => {
            check_type(request.headers())?;
            let json = read(request.into_body()).await?;
            let report = Report::of(&json).map_err(|error| Refusal::Invalid(error.to_string()))?;
            // The run may have ended meanwhile.
            let reported = runs.report(token, report);
            under_way(reported.map_err(|error| Refusal::Invalid(error.to_string()))?)
        }
        _ => Err(Refusal::Method),
    }
}

fn under_way(fate: Fate) -> Result<State, Refusal> {
    match fate {
        Fate::Running(state) => Ok(state),
        Fate::Over => Err(Refusal::Over),
        Fate::Unknown => Err(Refusal::Unknown),
    }
}

/// Demands JSON. A report without a type is taken for that.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let is_json = |value: &HeaderValue| {
        let value = value.to_str().unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    };
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    let is_supported = headers.get_all(CONTENT_TYPE).iter().all(is_json)
        && headers.get_all(CONTENT_ENCODING).iter().all(is_plain);
    is_supported.then_some(()).ok_or(Refusal::Type)
}

async fn read<B>(body: B) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let is_long = |length: u64| usize::try_from(length).map_or(true, |length| length > LIMIT);
    if is_long(body.size_hint().lower()) {
        return Err(Refusal::Length);
    }
    let whole = timeout(PATIENCE, Limited::new(body, LIMIT).collect()).await;
    match whole.map_err(|_| Refusal::Slow)? {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::Length),
        Err(error) => Err(Refusal::Invalid(format!("the report was cut off: {error}"))),
    }
}

/// Returns the answer with the state of a job.
fn told(state: &State) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let (status, left) = match state.is_cancelled {
        true => (JobState::Cancelled, Some(Duration::ZERO)),
        false => (JobState::Running, state.left),
    };
    let headers = response.headers_mut();
    headers.insert(JOB_STATUS, HeaderValue::from_static(status.as_str()));
    if let Some(left) = left {
        // Rounded down, since the server has no more than the rest of this second.
        let left = HeaderValue::from_str(&format!("{}s", left.as_secs()));
        headers.insert(CANCEL_AFTER, left.expect("digits"));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The reason why a request has no effect.
enum Refusal {
    Unknown,
    Over,
    Method,
    Type,
    Length,
    Slow,
    Invalid(String),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Over => StatusCode::GONE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Length => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::Unknown => "the gateway has no such run: it may have been started anew since",
            Self::Over => {
                "the run is over, or another one has taken its place: its work has no effect"
            }
            Self::Method => "progress is reported by PUT, and the state is read by GET",
            Self::Type => "a report is application/json, without a coding",
            Self::Length => "a report has at most 64 KiB",
            Self::Slow => "the report took longer than 10 s to arrive",
            Self::Invalid(detail) => detail,
        }
    }

    fn response(&self) -> Response<Full<Bytes>> {
        let status = self.status();
        let mut problem = Problem::default().with_detail(self.detail());
        problem.title = status.canonical_reason().map(str::to_owned);
        problem.status = Some(status.as_u16());
        let mut response = Response::new(Full::new(Bytes::from(problem.to_json())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Method => drop(headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, PUT"))),
            Self::Type => drop(headers.insert(ACCEPT, JSON)),
            _ => {}
        }
        response
    }
}
