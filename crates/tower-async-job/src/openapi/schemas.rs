//! The documents of the protocol as JSON Schema.

use http_polling::JobState;
use utoipa::openapi::{
    AllOfBuilder, KnownFormat, Object, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat, Type,
    schema::{ArrayBuilder, SchemaType},
};

pub(super) const STATE: &str = "JobState";
pub(super) const PROGRESS: &str = "JobProgress";
pub(super) const STATUS_DOCUMENT: &str = "JobStatusDocument";
pub(super) const PROBLEM: &str = "JobProblem";
pub(super) const LIST: &str = "JobList";

pub(super) const PENDING: [JobState; 2] = [JobState::Queued, JobState::Running];

/// The values of `Job-Status` and of status documents.
pub(super) const STATES: [JobState; 9] = [
    JobState::Queued,
    JobState::Running,
    JobState::Done,
    JobState::Failed,
    JobState::TimedOut,
    JobState::Lost,
    JobState::Cancelled,
    JobState::Expired,
    JobState::Unknown,
];

pub(super) fn all() -> [(&'static str, Object); 4] {
    [
        (STATE, state()),
        (PROGRESS, progress()),
        (STATUS_DOCUMENT, status_document()),
        (PROBLEM, problem()),
    ]
}

fn state() -> Object {
    let description = "Where a job stands: `queued` and `running` are pending, every other state \
                       is final.";
    one_of(&STATES).description(Some(description)).build()
}

pub(super) fn reference(name: &str) -> Ref {
    Ref::from_schema_name(name)
}

/// Returns a string with these states as its values.
pub(super) fn one_of(states: &[JobState]) -> ObjectBuilder {
    text().enum_values(Some(states.iter().map(|state| state.as_str())))
}

pub(super) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// Returns a non-negative integer.
pub(super) fn count() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
}

pub(super) fn anything() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue)
}

fn time() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

fn described(schema: ObjectBuilder, description: &str) -> RefOr<Schema> {
    schema.description(Some(description)).into()
}

fn status_document() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "Where a job stands. Absent members are left out; unknown ones are to be ignored.",
        ))
        .property("id", described(text(), "The id in the job's URL."))
        .required("id")
        .property("state", reference(STATE))
        .required("state")
        .property(
            "created",
            described(time(), "When the job was accepted, UTC."),
        )
        .property(
            "started",
            described(
                time(),
                "When its handler was started, the last time it was.",
            ),
        )
        .property("ended", described(time(), "When it ended."))
        .property(
            "attempt",
            described(count(), "Which run it is, from 1; 0 before the first."),
        )
        .required("attempt")
        .property(
            "retry_after_ms",
            described(
                count(),
                "After how many milliseconds it is worth asking again; of pending jobs only.",
            ),
        )
        .property("progress", reference(PROGRESS))
        .property(
            "partial",
            described(
                anything(),
                "What there is of the result, if the handler gives it.",
            ),
        )
        .property(
            "metadata",
            described(
                ObjectBuilder::new().schema_type(Type::Object),
                "What the handler wants to be known of the job.",
            ),
        )
        .build()
}

/// Returns the list of a client's own jobs.
pub(super) fn list() -> Object {
    let href = text().format(Some(SchemaFormat::Custom("uri-reference".to_owned())));
    let located = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("href", described(href, "The job's URL."))
        .required("href");
    let job = AllOfBuilder::new()
        .item(reference(STATUS_DOCUMENT))
        .item(located);
    let next = text().format(Some(SchemaFormat::Custom("uri-reference".to_owned())));
    let unreadable = count().description(Some("How many jobs cannot be read, if there are any."));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("A page of own jobs, newest first."))
        .property("jobs", ArrayBuilder::new().items(job))
        .required("jobs")
        .property(
            "next",
            described(
                next,
                "The next page, relative to this one; absent on the last.",
            ),
        )
        .property("unreadable", unreadable)
        .build()
}

fn progress() -> Object {
    let fraction = ObjectBuilder::new()
        .schema_type(Type::Number)
        .minimum(Some(0))
        .maximum(Some(1));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("How far a job has come, as far as its handler tells."))
        .property("fraction", described(fraction, "The part that is done."))
        .property(
            "done",
            described(
                count(),
                "How many units are done, in the handler's own unit.",
            ),
        )
        .property(
            "total",
            described(count(), "How many units there are in all."),
        )
        .property(
            "message",
            described(text(), "What the job is at, for people."),
        )
        .build()
}

fn problem() -> Object {
    let status = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(100))
        .maximum(Some(599));
    let uri = || text().format(Some(SchemaFormat::Custom("uri-reference".to_owned())));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "A problem document (RFC 9457). It may have further members.",
        ))
        .property(
            "type",
            described(uri(), "Names the kind of problem; `about:blank` if absent."),
        )
        .property(
            "title",
            described(text(), "The kind of problem, for people."),
        )
        .property(
            "status",
            described(status, "The status code of the answer."),
        )
        .property(
            "detail",
            described(text(), "What went wrong this time, for people."),
        )
        .property("instance", described(uri(), "Names this occurrence."))
        .build()
}
