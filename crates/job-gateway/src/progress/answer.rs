//! The answers of the URLs of runs.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use http_polling::{CANCEL_AFTER, JOB_STATUS, JobState};
use tokio::time::timeout;
use tower::BoxError;

use super::{
    parties::Parties,
    party::Party,
    refusal::Refusal,
    report::Report,
    runs::{Fate, Runs, State},
    token::Token,
};

/// The bytes of a report.
const LIMIT: usize = 64 << 10;

/// The time for a report to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers a request. The response to one for a run has the state of its job.
pub(super) async fn answer<B>(
    runs: &Runs,
    parties: &Parties,
    request: Request<B>,
) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let path = request.uri().path();
    let answered = match path.strip_prefix("/results/").and_then(Party::of) {
        Some(party) => deliver(parties, &party, request).await,
        None => progress(runs, parties, request).await,
    };
    match answered {
        Ok(state) => told(&state),
        Err(refusal) => refusal.response(),
    }
}

/// Ends a job with the result that its server delivers.
async fn deliver<B>(parties: &Parties, party: &Party, request: Request<B>) -> Result<State, Refusal>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    match *request.method() {
        Method::PUT => parties.deliver(party, request).await?,
        _ => return Err(Refusal::Method("PUT")),
    }
    Ok(State::Done)
}

async fn progress<B>(runs: &Runs, parties: &Parties, request: Request<B>) -> Result<State, Refusal>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let segment = request.uri().path().strip_prefix("/runs/");
    let segment = segment.ok_or(Refusal::Unknown)?;
    let party = Party::of(segment);
    let token = party.as_ref().map(|party| party.run);
    let token = token
        .or_else(|| Token::of(segment))
        .ok_or(Refusal::Unknown)?;
    let known = match (runs.fate(token), &party) {
        (Fate::Running(state), _) => Some(state),
        (_, Some(_)) => None,
        (fate, None) => Some(under_way(fate)?),
    };
    match (request.method(), known, &party) {
        (&Method::GET | &Method::HEAD, Some(state), _) => return Ok(state),
        (&Method::GET | &Method::HEAD, None, Some(party)) => {
            return parties.report(party, Report::default()).await;
        }
        (&Method::PUT, ..) => {}
        _ => return Err(Refusal::Method("GET, HEAD, PUT")),
    }
    check_type(request.headers())?;
    let json = read(request.into_body()).await?;
    let report = Report::of(&json).map_err(|error| Refusal::Invalid(error.to_string()))?;
    // The run may have ended meanwhile.
    let reported = runs.report(token, report.clone());
    let fate = reported.map_err(|error| Refusal::Invalid(error.to_string()))?;
    match (fate, &party) {
        (Fate::Over | Fate::Unknown, Some(party)) => parties.report(party, report).await,
        (fate, _) => under_way(fate),
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
    let (status, left) = match state {
        State::Cancelled => (JobState::Cancelled, Some(Duration::ZERO)),
        State::Running(left) => (JobState::Running, *left),
        State::Done => (JobState::Done, None),
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
