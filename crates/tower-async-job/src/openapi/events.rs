//! The description of the events of a job.

use utoipa::openapi::{
    ContentBuilder,
    path::{Parameter, ParameterBuilder, ParameterIn},
};

use super::{
    headers,
    responses::{self, Described},
    schemas,
};

/// Returns the answers to a client that listens.
pub(super) fn answers() -> Vec<Described> {
    let mut answers = vec![stream(), over(), not_over_http_1_0()];
    answers.extend(responses::of_refused_listener());
    answers
}

/// Returns the field by which a client connects again.
pub(super) fn last_event_id() -> Parameter {
    ParameterBuilder::new()
        .name("Last-Event-ID")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "The id of the latest event, by which the client gets what has changed since.",
        ))
        .schema(Some(schemas::text()))
        .build()
}

fn stream() -> Described {
    let description = "Server-sent events: `progress` and `end`, each with the status document, and \
                       `end` with the job's URL as the member `location` too.";
    let fields = [headers::no_store(), headers::accel_buffering()];
    let text = ContentBuilder::new().schema(Some(schemas::text()));
    responses::described("200", "JobEvents", description, fields)
        .with("text/event-stream", text.build())
}

fn over() -> Described {
    let description = "The job has ended, and the client has had the end.";
    responses::described("204", "JobEventsOver", description, [headers::no_store()])
}

fn not_over_http_1_0() -> Described {
    let description = "Events need HTTP/1.1 or later.";
    let fields = [headers::no_store()];
    responses::described("505", "JobEventsUnsupported", description, fields)
        .saying(responses::problems([]))
}
