//! The header fields of the answers.

use http_polling::JobState;
use utoipa::openapi::{HeaderBuilder, ObjectBuilder, SchemaFormat, Type, header::Header};

use super::schemas;

pub(super) type Field = (&'static str, Header);

pub(super) fn job_status(states: &[JobState]) -> Field {
    let description = "The job's state. Where it is present, it alone decides, whatever the \
                       status code: `queued` and `running` are pending, all others final.";
    field("Job-Status", schemas::one_of(states), description)
}

pub(super) fn no_store() -> Field {
    let value = schemas::text().enum_values(Some(["no-store"]));
    field("Cache-Control", value, "No cache is to keep the answer.")
}

pub(super) fn retry_after() -> [Field; 2] {
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1));
    [
        field(
            "Retry-After",
            seconds,
            "After how many seconds to ask again, rounded up.",
        ),
        field(
            "retry-after-ms",
            schemas::count(),
            "The same delay in milliseconds.",
        ),
    ]
}

pub(super) fn location() -> Field {
    let description = "Where to ask next, by GET. Its query changes with every answer.";
    field("Location", reference(), description)
}

pub(super) fn link_to_events() -> Field {
    let description = "The job's events, with the relation `monitor`.";
    field("Link", schemas::text(), description)
}

pub(super) fn accel_buffering() -> Field {
    let value = schemas::text().enum_values(Some(["no"]));
    field(
        "X-Accel-Buffering",
        value,
        "No proxy is to buffer the events.",
    )
}

pub(super) fn content_location() -> Field {
    let description = "The same as Location, for clients that read this one.";
    field("Content-Location", reference(), description)
}

pub(super) fn preference_applied() -> Field {
    let description = "Which of the preferences in Prefer were honoured (RFC 7240).";
    field("Preference-Applied", schemas::text(), description)
}

pub(super) fn vary() -> Field {
    let description = "On answers to GET: the request's fields that they depend on.";
    field("Vary", schemas::text(), description)
}

pub(super) fn etag() -> Field {
    let description = "The strong validator of a result, for If-Range and other conditions.";
    field("ETag", schemas::text(), description)
}

pub(super) fn last_modified() -> Field {
    let description = "The end of the job.";
    field("Last-Modified", schemas::text(), description)
}

pub(super) fn accept_ranges() -> Field {
    let description = "`bytes` if parts of the result can be read by Range.";
    field("Accept-Ranges", schemas::text(), description)
}

pub(super) fn content_range() -> Field {
    let description = "The part that a 206 has; after 416, the length of the result.";
    field("Content-Range", schemas::text(), description)
}

/// Returns the fields that only the page for browsers has.
pub(super) fn of_page() -> [Field; 4] {
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1));
    [
        field(
            "Refresh",
            seconds,
            "After how many seconds a browser is to ask again.",
        ),
        field(
            "Content-Security-Policy",
            schemas::text(),
            "Allows the page's own style and script alone.",
        ),
        field("X-Content-Type-Options", schemas::text(), "`nosniff`"),
        field("Referrer-Policy", schemas::text(), "`no-referrer`"),
    ]
}

pub(super) fn link() -> Field {
    let description = "The next page, with `rel=\"next\"`, if there is one (RFC 8288).";
    field("Link", schemas::text(), description)
}

pub(super) fn allow() -> Field {
    field("Allow", schemas::text(), "The methods that there are.")
}

fn reference() -> ObjectBuilder {
    schemas::text().format(Some(SchemaFormat::Custom("uri-reference".to_owned())))
}

fn field(name: &'static str, schema: ObjectBuilder, description: &str) -> Field {
    let header = HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(description))
        .build();
    (name, header)
}
