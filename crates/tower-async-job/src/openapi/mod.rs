//! The OpenAPI description of the job resource.

mod events;
mod headers;
mod own_jobs;
mod responses;
mod schemas;

use http::Uri;
use utoipa::openapi::{
    HttpMethod, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder,
    Responses, Server, Tag, Type,
    path::{
        Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItemBuilder,
    },
    schema::ComponentsBuilder,
};

use self::responses::Described;
use crate::{config::Config, layer::AsyncJobLayer};

const TAG: &str = "jobs";

impl AsyncJobLayer {
    /// Returns the OpenAPI 3.1 document of the job resource: its paths below the [public
    /// base](crate::Builder::public_base), every answer with its fields, the schemas of the status
    /// document and the problem document, and the layer's answers to the application's own
    /// operations. Needs the `openapi` feature.
    ///
    /// All components are named `Job…` and tagged `jobs`, so that the document can be merged into
    /// that of the whole API. [`OpenApi::merge`] takes over paths, schemas and responses, which is
    /// all it has. Operations have no `operationId`, which would have to be unique within the
    /// whole.
    ///
    /// A job's own answer may have any status, so it is the default response; `Job-Status: done`
    /// distinguishes it from an answer about the job with the same status. Methods that are not
    /// described are answered with 405 and `Allow`.
    ///
    /// ```
    /// use tower_async_job::AsyncJobLayer;
    /// use utoipa::openapi::{
    ///     HttpMethod, Info, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Response,
    ///     path::OperationBuilder,
    /// };
    ///
    /// let jobs = AsyncJobLayer::builder().public_base("/api/work").build()?;
    ///
    /// // What the handler answers stands beside what the layer does, or in place of it.
    /// let report = OperationBuilder::new()
    ///     .summary(Some("Makes a report"))
    ///     .responses(jobs.openapi_responses())
    ///     .response("200", Response::new("The report"));
    ///
    /// let mut api: OpenApi = OpenApiBuilder::new()
    ///     .info(Info::new("Reports", "1.0.0"))
    ///     .paths(PathsBuilder::new().path("/api/report", PathItem::new(HttpMethod::Post, report)))
    ///     .build();
    /// api.merge(jobs.openapi());
    ///
    /// assert!(api.paths.get_path_item("/api/work/{id}").is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// With utoipa's macros, an operation references the same answers: `responses((status = 303,
    /// response = ref("#/components/responses/JobSeeOther")))`; with
    /// [`PendingStatus::Accepted`](crate::PendingStatus::Accepted) it is `JobAccepted` and 202.
    #[must_use]
    pub fn openapi(&self) -> OpenApi {
        document(&self.front.config)
    }

    /// Returns the layer's answers to the application's own operations, by status, as references
    /// into [`openapi`](Self::openapi): the announcement of a job, and refusals. A repeat of a
    /// submission with the same Idempotency-Key may also be answered like a poll. Needs the
    /// `openapi` feature.
    ///
    /// ```
    /// let jobs = tower_async_job::AsyncJobLayer::new();
    /// assert!(jobs.openapi_responses().responses.contains_key("303"));
    /// ```
    #[must_use]
    pub fn openapi_responses(&self) -> Responses {
        responses::references(&responses::of_submission(&self.front.config))
    }
}

fn document(config: &Config) -> OpenApi {
    let (server, base) = public(config);
    let poll = responses::of_poll(config);
    let status = responses::of_status();
    let cancellation = responses::of_cancellation();
    let options = responses::of_options();
    let events = match config.events {
        true => events::answers(),
        false => Vec::new(),
    };
    let list = match config.lists_own_jobs {
        true => own_jobs::answers(),
        false => Vec::new(),
    };

    let mut components = ComponentsBuilder::new();
    for (name, schema) in schemas::all() {
        components = components.schema(name, schema);
    }
    if config.lists_own_jobs {
        components = components.schema(schemas::LIST, schemas::list());
    }
    let answers: [&[Described]; 7] = [
        &list,
        &poll,
        &status,
        &cancellation,
        &options,
        &events,
        &responses::of_submission(config),
    ];
    for described in answers.into_iter().flatten() {
        let (name, response) = described.clone().component();
        components = components.response(name, response);
    }

    let job = PathItemBuilder::new()
        .summary(Some("A job"))
        .parameters(Some([id()]))
        .operation(
            HttpMethod::Get,
            asking("Asks for the result of a job", responses::references(&poll)),
        )
        .operation(
            HttpMethod::Head,
            asking(
                "Asks as GET does, for the head alone",
                responses::without_content(&poll),
            ),
        )
        .operation(
            HttpMethod::Delete,
            operation(
                "Cancels a job that has not ended, or drops the result of one that has",
                responses::references(&cancellation),
            ),
        )
        .operation(HttpMethod::Options, methods(&options));
    let status = PathItemBuilder::new()
        .summary(Some("The status of a job"))
        .parameters(Some([id()]))
        .operation(
            HttpMethod::Get,
            operation("Tells where a job stands", responses::references(&status)),
        )
        .operation(
            HttpMethod::Head,
            operation(
                "Tells where a job stands, by the head alone",
                responses::without_content(&status),
            ),
        )
        .operation(HttpMethod::Options, methods(&options));
    let at = |item: PathItemBuilder| -> PathItem {
        item.servers(server.clone().map(|server| [server])).build()
    };
    let mut paths = PathsBuilder::new()
        .path(format!("{base}/{{id}}"), at(job))
        .path(format!("{base}/{{id}}/status"), at(status));
    if config.events {
        let mut listen = operation(
            "Sends the changes of a job as they come",
            responses::references(&events),
        );
        listen.parameters = Some(vec![events::last_event_id().into()]);
        let events = PathItemBuilder::new()
            .summary(Some("The events of a job"))
            .parameters(Some([id()]))
            .operation(HttpMethod::Get, listen)
            .operation(HttpMethod::Options, methods(&options));
        paths = paths.path(format!("{base}/{{id}}/events"), at(events));
    }
    let mut tag = Tag::new(TAG);
    tag.description = Some("Requests that take long, and are asked for again".to_owned());
    if config.lists_own_jobs {
        let listing = |summary, responses| {
            let mut listing = operation(summary, responses);
            listing.parameters = Some(own_jobs::parameters().map(Into::into).into());
            listing
        };
        let own = PathItemBuilder::new()
            .summary(Some("The client's own jobs"))
            .operation(
                HttpMethod::Get,
                listing("Lists the client's own jobs", responses::references(&list)),
            )
            .operation(
                HttpMethod::Head,
                listing(
                    "Lists the client's own jobs, by the head alone",
                    responses::without_content(&list),
                ),
            )
            .operation(HttpMethod::Options, methods(&options));
        let path = if base.is_empty() { "/" } else { &base };
        paths = paths.path(path, at(own));
    }
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Jobs")
                .version(env!("CARGO_PKG_VERSION")),
        )
        .paths(paths)
        .components(Some(components.build()))
        .tags(Some([tag]))
        .build()
}

/// Returns the location of the jobs: the server, if the public base names one, and the path.
fn public(config: &Config) -> (Option<Server>, String) {
    let base = &*config.public_base;
    match base.parse::<Uri>() {
        Ok(uri) if uri.scheme().is_some() => {
            let path = uri.path().trim_end_matches('/').to_owned();
            let server = base.strip_suffix(uri.path()).unwrap_or(base);
            (Some(Server::new(server)), path)
        }
        _ => (None, format!("/{}", base.trim_start_matches('/'))),
    }
}

fn operation(summary: &str, responses: Responses) -> Operation {
    OperationBuilder::new()
        .tag(TAG)
        .summary(Some(summary))
        .responses(responses)
        .build()
}

/// Returns an operation that polls, with its responses.
fn asking(summary: &str, responses: Responses) -> Operation {
    let mut operation = operation(summary, responses);
    let hints = [
        (
            "poll",
            "How many answers there were. A hint of Location, to be sent as it came.",
        ),
        (
            "due",
            "When this poll is due. A hint of Location, to be sent as it came.",
        ),
    ];
    let hints = hints.map(|(name, description)| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .description(Some(description))
            .schema(Some(schemas::count()))
            .build()
            .into()
    });
    let prefer = ParameterBuilder::new()
        .name("Prefer")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "`wait=N` holds the answer until the job ends, for up to N seconds (RFC 7240).",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build();
    operation.parameters = Some(hints.into_iter().chain([prefer.into()]).collect());
    operation
}

fn methods(options: &[Described]) -> Operation {
    operation(
        "Tells which methods there are",
        responses::references(options),
    )
}

fn id() -> Parameter {
    let digits = schemas::text().pattern(Some("^[0-9a-f]{32}$"));
    let mut parameter = Parameter::new("id");
    parameter.parameter_in = ParameterIn::Path;
    parameter.description = Some("The job's id; whoever knows it may ask for the job.".to_owned());
    parameter.schema = Some(digits.into());
    parameter
}
