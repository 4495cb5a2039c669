//! The ends of jobs in the log: a line for each.
//!
//! The layer of jobs opens a span for each run, with the handle of its job. Its closing is such a line
//! if the job has ended with it, and was not handed back. For an end without a run, the layer writes
//! the line itself.

use std::{fmt, time::Instant};

use http_polling::JobState;
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::Context,
    registry::LookupSpan,
};

/// The crate of the spans of runs, and their name.
const RUNS: (&str, &str) = ("tower_async_job", "job");

/// Returns the layer that writes a line for each job that ends with a run.
pub(super) fn ends<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Ends.with_filter(Targets::new().with_target(RUNS.0, LevelFilter::INFO))
}

struct Ends;

/// A run.
struct Run {
    begun: Instant,
    fields: Fields,
}

#[derive(Default)]
struct Fields {
    route: Option<String>,
    attempt: Option<u64>,
    state: Option<String>,
    handle: Option<String>,
}

impl<S> Layer<S> for Ends
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != RUNS.1 {
            return;
        }
        let mut run = Run {
            begun: Instant::now(),
            fields: Fields::default(),
        };
        attributes.record(&mut run.fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(run);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(run) = span.extensions_mut().get_mut::<Run>()
        {
            values.record(&mut run.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let run = context
            .span(&id)
            .and_then(|span| span.extensions_mut().remove::<Run>());
        if let Some(Run { begun, fields }) = run
            && fields.has_ended()
        {
            tracing::info!(
                handle = fields.handle,
                route = fields.route,
                attempt = fields.attempt,
                state = fields.state,
                seconds = begun.elapsed().as_secs_f64(),
                "job"
            );
        }
    }
}

impl Fields {
    /// Returns whether the job has ended with its run.
    fn has_ended(&self) -> bool {
        let state = self.state.as_ref().and_then(|state| state.parse().ok());
        state.is_some_and(|state: JobState| !state.is_pending())
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "handle" {
            self.handle = Some(format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "route" => self.route = Some(value.to_owned()),
            "state" => self.state = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "attempt" {
            self.attempt = Some(value);
        }
    }
}
