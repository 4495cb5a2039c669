//! The ends of jobs in the log: a line for each that has run here.
//!
//! The layer of jobs opens a span for each run. The proxy reports the handle of the job within it, when
//! the run ends, since a request is named before it becomes a job.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Instant,
};

use tower_async_job::store::JobHandle;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::Context,
    registry::LookupSpan,
};

/// The target of the events that report a handle.
const HANDLE: &str = "job_gateway::handle";

/// The crate of the spans of runs, and their name.
const RUNS: (&str, &str) = ("tower_async_job", "job");

/// Reports the handle of the job, if it is known, whose run ends when this is dropped.
pub(crate) struct Named(pub(crate) Arc<OnceLock<JobHandle>>);

impl Drop for Named {
    fn drop(&mut self) {
        if let Some(handle) = self.0.get() {
            tracing::trace!(target: HANDLE, %handle);
        }
    }
}

/// Returns the layer that writes a line for each end of a run.
pub(super) fn ends<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let heard = Targets::new()
        .with_target(HANDLE, LevelFilter::TRACE)
        .with_target(RUNS.0, LevelFilter::INFO);
    Ends.with_filter(heard)
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

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != HANDLE {
            return;
        }
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(run) = span.extensions_mut().get_mut::<Run>() {
                event.record(&mut run.fields);
                return;
            }
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let run = context
            .span(&id)
            .and_then(|span| span.extensions_mut().remove::<Run>());
        if let Some(Run { begun, fields }) = run {
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
