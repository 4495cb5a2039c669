//! OGC API Processes.

use http::{Method, StatusCode, Uri, header::LOCATION};
use http_polling::{JobState, PreferenceApplied, Problem, Progress};
use serde_json::Value;

use super::{
    accept::weight,
    answer::Answer,
    document::{States, is_json_type, percent, state, text},
    error::DialectError,
    reader::Dialect,
    step::{Interim, Step},
};

/// The words of the standard for states.
const STATES: &States = &[
    (JobState::Queued, &["accepted"]),
    (JobState::Running, &["running"]),
    (JobState::Done, &["successful"]),
    (JobState::Failed, &["failed"]),
    (JobState::Cancelled, &["dismissed"]),
];

/// The statuses with which servers accept an execution.
const ACCEPTING: [StatusCode; 3] = [StatusCode::OK, StatusCode::CREATED, StatusCode::ACCEPTED];

/// The relations of a link to a job's results, the standard's first.
const RESULTS: [&str; 2] = ["http://www.opengis.net/def/rel/ogc/1.0/results", "results"];

/// Asynchronous execution in OGC API Processes, part 1 (OGC 18-062r2).
///
/// A POST is answered with 201 and the job's URL in `Location`. It is
/// recognised by `Preference-Applied: respond-async`, or by a path that ends
/// in `/execution`. The job answers polls with 200 and a JSON document whose
/// `status` is `accepted`, `running`, `successful`, `failed` or `dismissed`;
/// every other counts as running. Its `progress` and `message` are those of
/// the job.
///
/// The response comes from the document's link to the results, else from
/// `/results` below the job's URL. Among several links, the one whose `type`
/// matches the caller's `Accept` best is taken; among equals one to JSON, and
/// one to HTML only if there is no other.
///
/// ```
/// use tower_poll::dialect::{Dialect, OgcProcesses};
///
/// assert_eq!(OgcProcesses::new().name(), "ogc-processes");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct OgcProcesses {
    is_lenient: bool,
}

impl OgcProcesses {
    /// Reads answers with the properties named [above](Self).
    pub const fn new() -> Self {
        Self { is_lenient: false }
    }

    /// Sets whether answers without those properties are read too: a POST that
    /// is answered with 200, 201 or 202 and `Location` is then enough. A
    /// lenient dialect belongs [onto the layer](crate::PollLayer::dialect). Off
    /// by default.
    ///
    /// ```
    /// let dialect = tower_poll::dialect::OgcProcesses::new().lenient(true);
    /// ```
    pub const fn lenient(mut self, is_lenient: bool) -> Self {
        self.is_lenient = is_lenient;
        self
    }
}

impl Dialect for OgcProcesses {
    fn name(&self) -> &str {
        "ogc-processes"
    }

    fn recognises(&self, answer: &Answer<'_>) -> bool {
        let is_recognisable = || {
            answer.status() == StatusCode::CREATED
                && (PreferenceApplied::from_headers(answer.headers()).respond_async()
                    || answer.submission().path().ends_with("/execution"))
        };
        *answer.submission_method() == Method::POST
            && ACCEPTING.contains(&answer.status())
            && answer.headers().contains_key(LOCATION)
            && JobState::from_headers(answer.headers()).is_none()
            && (self.is_lenient || is_recognisable())
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError> {
        if answer.is_to_submission() {
            return Ok(match answer.url_in(&LOCATION)? {
                Some(job) => Step::Pending(answer.pending(job)),
                None => Step::AsHead,
            });
        }
        if answer.status() != StatusCode::OK {
            return Ok(Step::AsHead);
        }
        if answer.body().is_none() {
            return Ok(Step::NeedsBody);
        }
        let document = answer.json()?;
        let status = text(&document, "status")?.ok_or(DialectError::missing("`status`"))?;
        match state(status, STATES) {
            Some(JobState::Done) => Ok(Step::Fetch(results(answer, &document)?)),
            Some(state) if state.is_final() => Ok(Step::Failed(state, problem(&document))),
            state => Ok(Step::Pending(Interim {
                state,
                progress: progress(&document),
                ..answer.pending(answer.asked().clone())
            })),
        }
    }

    fn polls_documents(&self) -> bool {
        true
    }
}

fn results(answer: &Answer<'_>, document: &Value) -> Result<Uri, DialectError> {
    let links = match document.get("links") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(links)) => links.as_slice(),
        Some(_) => return Err(DialectError::mistyped("links", "an array")),
    };
    match RESULTS.iter().find_map(|relation| {
        let of_relation = links.iter().filter(|link| is_to(link, relation));
        best(of_relation, answer.accept())
    }) {
        Some(link) => {
            let href = text(link, "href")?;
            answer.resolve(href.ok_or(DialectError::missing("`href` of the results"))?)
        }
        None => match answer.asked().path().rsplit('/').next() {
            None | Some("") => answer.resolve("results"),
            // The dot keeps a segment with a colon from being a scheme.
            Some(job) => answer.resolve(&format!("./{job}/results")),
        },
    }
}

fn is_to(link: &Value, relation: &str) -> bool {
    let found = link.get("rel").and_then(Value::as_str);
    found.is_some_and(|found| found.eq_ignore_ascii_case(relation))
}

/// Returns the link whose `type` matches `accept` best. Among equals JSON
/// comes first and HTML, which is for people, last.
fn best<'a>(links: impl Iterator<Item = &'a Value>, accept: Option<&str>) -> Option<&'a Value> {
    let rank = |link: &&Value| {
        let media_type = link.get("type").and_then(Value::as_str);
        let media_type = media_type.map(|text| text.split(';').next().unwrap_or(text).trim());
        let weight = match (accept, media_type) {
            (None, _) => 0,
            // It may match, and takes precedence over those that do not.
            (Some(_), None) => 1,
            (Some(accept), Some(media_type)) => weight(accept, media_type),
        };
        let is_html = ["text/html", "application/xhtml+xml"]
            .iter()
            .any(|html| media_type.is_some_and(|own| own.eq_ignore_ascii_case(html)));
        (weight, media_type.is_some_and(is_json_type), !is_html)
    };
    // `max_by_key` gives the last of equals.
    links.collect::<Vec<_>>().into_iter().rev().max_by_key(rank)
}

fn message(document: &Value) -> Option<&str> {
    document.get("message")?.as_str()
}

fn progress(document: &Value) -> Option<Progress> {
    match (percent(document, "progress"), message(document)) {
        (None, None) => None,
        (progress, None) => progress,
        (progress, Some(message)) => Some(progress.unwrap_or_default().with_message(message)),
    }
}

fn problem(document: &Value) -> Option<Box<Problem>> {
    let problem = Problem::default().with_detail(message(document)?);
    Some(Box::new(problem))
}

#[cfg(test)]
mod tests;
