//! The answers of the layer, each described once and referenced by name.

use http_polling::{JobState, Problem, ProblemType};
use tower_async_job_core::PendingStatus;
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Responses};

use super::{
    headers::{self, Field},
    schemas,
};
use crate::config::Config;

/// An answer, its status code, and its name among the components.
#[derive(Clone)]
pub(super) struct Described {
    code: &'static str,
    name: &'static str,
    response: Response,
}

impl Described {
    pub(super) fn component(self) -> (&'static str, Response) {
        (self.name, self.response)
    }

    /// Returns a reference to it.
    fn by_reference(&self) -> RefOr<Response> {
        Ref::from_response_name(self.name).into()
    }

    /// Returns it as a response to HEAD.
    fn without_content(&self) -> RefOr<Response> {
        let mut response = self.response.clone();
        response.content.clear();
        response.into()
    }
}

pub(super) fn references(described: &[Described]) -> Responses {
    let entry = |one: &Described| (one.code, one.by_reference());
    described.iter().map(entry).collect()
}

pub(super) fn without_content(described: &[Described]) -> Responses {
    let entry = |one: &Described| (one.code, one.without_content());
    described.iter().map(entry).collect()
}

pub(super) fn of_poll(config: &Config) -> Vec<Described> {
    let mut answers = announcements(config, false);
    answers.extend([
        result(),
        unknown(),
        gone(),
        polled_too_often(),
        failed(),
        unreachable(),
        timed_out(),
    ]);
    if config.page {
        answers.push(page(config));
    }
    answers
}

pub(super) fn of_status() -> Vec<Described> {
    vec![status(), unknown(), broken(), unreachable()]
}

pub(super) fn of_cancellation() -> Vec<Described> {
    vec![cancelled(), dropped(), unknown(), broken(), unreachable()]
}

pub(super) fn of_refused_listener() -> Vec<Described> {
    vec![unknown(), polled_too_often(), broken(), unreachable()]
}

pub(super) fn of_options() -> Vec<Described> {
    vec![described(
        "204",
        "JobOptions",
        "Which methods there are.",
        [headers::allow(), headers::no_store()],
    )]
}

/// Returns the layer's answers to the application's own operations, besides the handler's.
pub(super) fn of_submission(config: &Config) -> Vec<Described> {
    // Browsers that prefer the page are redirected to it in any case.
    let mut answers = announcements(config, config.page);
    answers.extend([
        refused(
            "400",
            "JobRequestInvalid",
            &[
                ProblemType::RequestInvalid,
                ProblemType::IdempotencyKeyInvalid,
            ],
            "Cancel-After or Idempotency-Key cannot be read. There is no job.",
        ),
        refused(
            "408",
            "JobUploadTooSlow",
            &[ProblemType::RequestTimeout],
            "The upload stood still, or came too slowly. There is no job.",
        ),
        refused(
            "413",
            "JobRequestTooLarge",
            &[ProblemType::RequestTooLarge],
            "The request is larger than what can be kept. There is no job.",
        ),
        refused(
            "414",
            "JobTargetTooLong",
            &[ProblemType::TargetTooLong],
            "The path is longer than what can be kept. There is no job.",
        ),
        refused(
            "422",
            "JobKeyReused",
            &[ProblemType::IdempotencyKeyReused],
            "Another request bore this Idempotency-Key. There is no new job.",
        ),
        refused(
            "429",
            "JobQuotaExceeded",
            &[ProblemType::QuotaExceeded],
            "This client has as much work under way as it may. There is no job.",
        ),
        broken(),
        refused(
            "503",
            "JobRefused",
            &[
                ProblemType::CapacityExhausted,
                ProblemType::StoreUnavailable,
            ],
            "No more work can be taken on for now. There is no job.",
        ),
        refused(
            "504",
            "JobPastDeadline",
            &[ProblemType::JobTimedOut],
            "The work ran past its deadline without becoming a job.",
        ),
    ]);
    answers
}

/// The announcements of jobs that there may be: each, where policies are chosen by request.
fn announcements(config: &Config, redirects: bool) -> Vec<Described> {
    let usual = config.policy.pending_status;
    [PendingStatus::SeeOther, PendingStatus::Accepted]
        .into_iter()
        .filter(|status| {
            let is_redirect = *status == PendingStatus::SeeOther;
            config.policies.is_some() || *status == usual || (redirects && is_redirect)
        })
        .map(|status| pending(config, status))
        .collect()
}

fn pending(config: &Config, status: PendingStatus) -> Described {
    let (code, name) = match status {
        PendingStatus::Accepted => ("202", "JobAccepted"),
        _ => ("303", "JobSeeOther"),
    };
    let description = "The job has not ended: ask again at Location, after Retry-After.";
    let mut fields = vec![
        headers::job_status(&schemas::PENDING),
        headers::location(),
        headers::no_store(),
        headers::preference_applied(),
        headers::vary(),
    ];
    fields.extend(headers::retry_after());
    fields.extend(config.events.then(headers::link_to_events));
    if status == PendingStatus::Accepted {
        fields.push(headers::content_location());
    }
    described(code, name, description, fields).saying(status_document())
}

fn page(config: &Config) -> Described {
    let description = "The job has not ended, and a browser navigates to it: a page that asks \
                       again by itself.";
    let mut fields = vec![
        headers::job_status(&schemas::PENDING),
        headers::location(),
        headers::no_store(),
        headers::preference_applied(),
        headers::vary(),
    ];
    fields.extend(headers::retry_after());
    fields.extend(config.events.then(headers::link_to_events));
    fields.extend(headers::of_page());
    let html = ContentBuilder::new().schema(Some(schemas::text()));
    described("200", "JobPage", description, fields).with("text/html", html.build())
}

fn result() -> Described {
    let description = "The response of the handler: its own status, fields, body and trailers. It \
                       may have any status, also one that is described here for the job itself; \
                       `Job-Status: done` tells it apart. A conditional request for a 200 may be \
                       answered with 304 or 412, and one for a range with 206 or 416.";
    let fields = [
        headers::job_status(&[JobState::Done]),
        headers::no_store(),
        headers::preference_applied(),
        headers::etag(),
        headers::last_modified(),
        headers::accept_ranges(),
        headers::content_range(),
    ];
    let anything = ContentBuilder::new().schema(Some(schemas::anything()));
    described("default", "JobResult", description, fields).with("*/*", anything.build())
}

fn unknown() -> Described {
    let description = "There is no such job, or none that the asker may know of.";
    ended("404", "JobUnknown", &[JobState::Unknown], description)
}

fn gone() -> Described {
    let states = [JobState::Cancelled, JobState::Expired];
    let description = "The job was cancelled, or its result is no longer kept.";
    ended("410", "JobGone", &states, description)
}

fn failed() -> Described {
    let states = [JobState::Failed, JobState::Lost];
    let description = "The job ended without an answer of its handler; or, without `Job-Status`, this \
                       poll failed, and nothing is said of the job.";
    ended("500", "JobFailed", &states, description)
}

fn timed_out() -> Described {
    let description = "The job was stopped at its deadline.";
    ended("504", "JobTimedOut", &[JobState::TimedOut], description)
}

fn polled_too_often() -> Described {
    let mut fields = vec![
        headers::job_status(&schemas::PENDING),
        headers::no_store(),
        headers::preference_applied(),
    ];
    fields.extend(headers::retry_after());
    let description = "The job has not ended, and was asked about too early.";
    described("429", "JobPolledTooOften", description, fields)
        .saying(problems([ProblemType::PolledTooOften]))
}

pub(super) fn unreachable() -> Described {
    let description = "The jobs cannot be reached for now. Nothing is said of this one.";
    let mut fields = vec![headers::no_store()];
    fields.extend(headers::retry_after());
    described("503", "JobStoreUnavailable", description, fields)
        .saying(problems([ProblemType::StoreUnavailable]))
}

pub(super) fn broken() -> Described {
    let description =
        "The server failed; with `Job-Status`, since the record of the job is damaged.";
    let fields = [
        headers::job_status(&[JobState::Failed]),
        headers::no_store(),
    ];
    described("500", "JobServerError", description, fields)
        .saying(problems([ProblemType::RecordUnreadable]))
}

fn status() -> Described {
    let mut fields = vec![headers::job_status(&schemas::STATES), headers::no_store()];
    fields.extend(headers::retry_after());
    let description = "Where the job stands, and while it is pending, when to ask again.";
    described("200", "JobStatus", description, fields).saying(status_document())
}

fn cancelled() -> Described {
    let fields = [
        headers::job_status(&[JobState::Cancelled]),
        headers::no_store(),
    ];
    let description = "The job is cancelled: everybody sees it so from now on.";
    described("202", "JobCancelled", description, fields).saying(status_document())
}

fn dropped() -> Described {
    let description = "The job had ended; its result is dropped.";
    described("204", "JobDropped", description, [headers::no_store()])
}

/// Describes the problem of an ended job.
fn ended(
    code: &'static str,
    name: &'static str,
    states: &[JobState],
    description: &str,
) -> Described {
    let fields = [
        headers::job_status(states),
        headers::no_store(),
        headers::preference_applied(),
    ];
    let kinds = states.iter().copied().filter_map(ProblemType::of);
    described(code, name, description, fields).saying(problems(kinds))
}

pub(super) fn refused(
    code: &'static str,
    name: &'static str,
    kinds: &[ProblemType],
    description: &str,
) -> Described {
    let mut fields = vec![headers::no_store()];
    if matches!(code, "429" | "503") {
        fields.extend(headers::retry_after());
    }
    described(code, name, description, fields).saying(problems(kinds.iter().copied()))
}

pub(super) fn described(
    code: &'static str,
    name: &'static str,
    description: &str,
    fields: impl IntoIterator<Item = Field>,
) -> Described {
    let mut response = ResponseBuilder::new().description(description);
    for (name, header) in fields {
        response = response.header(name, header);
    }
    Described {
        code,
        name,
        response: response.build(),
    }
}

impl Described {
    pub(super) fn saying(self, (media_type, content): (&str, Content)) -> Self {
        self.with(media_type, content)
    }

    pub(super) fn with(mut self, media_type: &str, content: Content) -> Self {
        self.response
            .content
            .insert(media_type.to_owned(), RefOr::T(content));
        self
    }
}

fn status_document() -> (&'static str, Content) {
    let schema = schemas::reference(schemas::STATUS_DOCUMENT);
    ("application/json", Content::new(Some(schema)))
}

/// Describes a problem document, with an example of each kind.
pub(super) fn problems(kinds: impl IntoIterator<Item = ProblemType>) -> (&'static str, Content) {
    use utoipa::openapi::example::ExampleBuilder;
    let examples = kinds.into_iter().map(|kind| {
        let value = serde_json::to_value(Problem::new(kind)).unwrap_or_default();
        let name = kind.uri().rsplit(':').next().unwrap_or_default();
        (name, ExampleBuilder::new().value(Some(value)).build())
    });
    let content = ContentBuilder::new()
        .schema(Some(schemas::reference(schemas::PROBLEM)))
        .examples_from_iter(examples)
        .build();
    ("application/problem+json", content)
}
