//! The description of the list of a client's own jobs.

use http_polling::ProblemType;
use utoipa::openapi::{
    Content,
    path::{Parameter, ParameterBuilder, ParameterIn},
};

use super::{
    headers,
    responses::{self, Described},
    schemas,
};

/// Returns the answers to a request for the list.
pub(super) fn answers() -> Vec<Described> {
    vec![
        page(),
        responses::refused(
            "400",
            "JobListParameters",
            &[],
            "A parameter is unknown, repeated, or cannot be read.",
        ),
        responses::refused(
            "404",
            "JobListUnknown",
            &[ProblemType::JobUnknown],
            "The client is not known, so it has no jobs of its own.",
        ),
        responses::broken(),
        responses::unreachable(),
    ]
}

/// Returns the parameters of a request for the list.
pub(super) fn parameters() -> [Parameter; 2] {
    let limit = "How many jobs a page has at most: 1 to 100, by default 50.";
    let after = "Where the page begins, from the link to it.";
    [
        ("limit", limit, schemas::count()),
        ("after", after, schemas::text()),
    ]
    .map(|(name, description, schema)| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .description(Some(description))
            .schema(Some(schema))
            .build()
    })
}

fn page() -> Described {
    let description =
        "Own jobs, newest first. The next page is `next`, and `Link` with `rel=\"next\"`.";
    let fields = [headers::link(), headers::no_store()];
    let list = Content::new(Some(schemas::reference(schemas::LIST)));
    responses::described("200", "JobList", description, fields).saying(("application/json", list))
}
