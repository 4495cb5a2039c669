//! The links between submission, run and polls in OpenTelemetry.

use std::convert::Infallible;

use crate::support::{self, SECOND, eager, get, post, send, slow, wrap};
use opentelemetry::trace::{SpanContext, TracerProvider};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{InMemorySpanExporter, SdkTracerProvider, SpanData},
};
use tokio::time::sleep;
use tower_async_job::{AsyncJobLayer, JobBody, Role, StoredBody};
use tracing::{Instrument, info_span};
use tracing_subscriber::layer::SubscriberExt;

fn named<'s>(spans: &'s [SpanData], name: &str) -> &'s SpanData {
    let span = spans.iter().find(|span| span.name == name);
    span.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

/// Compares identifiers alone: a context that was read from a stored result is remote, even on the
/// node that has stored it.
fn is_linked(from: &SpanData, to: &SpanData) -> bool {
    let identity = |context: &SpanContext| (context.trace_id(), context.span_id());
    let mut links = from.links.iter();
    links.any(|link| identity(&link.span_context) == identity(&to.span_context))
}

#[tokio::test(start_paused = true)]
async fn run_is_linked_to_its_submission_and_polls_to_the_run() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let traced = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _installed = tracing::subscriber::set_default(tracing_subscriber::registry().with(traced));

    let service = wrap(&eager(AsyncJobLayer::builder()), slow(5 * SECOND, "done"));
    let accepted = send(&service, post("/report"))
        .instrument(info_span!("submission"))
        .await
        .pending();
    let path = support::path_of(accepted.location());
    send(&service, get(path))
        .instrument(info_span!("early poll"))
        .await
        .pending();
    sleep(10 * SECOND).await;
    let last = send(&service, get(path)).instrument(info_span!("last poll"));
    assert_eq!(last.await.body, "done");

    let spans = exporter.get_finished_spans().expect("all spans");
    let job = named(&spans, "job");
    let submission = named(&spans, "submission");
    assert!(is_linked(job, submission));
    assert_eq!(job.parent_span_id, submission.span_context.span_id());
    assert!(is_linked(named(&spans, "early poll"), job));
    assert!(is_linked(named(&spans, "last poll"), job));
}

#[tokio::test(start_paused = true)]
async fn later_run_belongs_to_the_trace_that_its_request_names() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let traced = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _installed = tracing::subscriber::set_default(tracing_subscriber::registry().with(traced));
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());

    let builder = AsyncJobLayer::builder().replay_when(|_| true);
    let layer = eager(builder.role(Role::Front));
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = support::with(post("/report"), "traceparent", parent);
    send(&wrap(&layer, slow(SECOND, "unused")), request)
        .await
        .pending();
    let handler = tower::service_fn(|_: http::Request<JobBody<StoredBody>>| async {
        Ok::<_, Infallible>(http::Response::new(support::Body::from("done")))
    });
    tokio::spawn(layer.worker(handler).run());
    sleep(5 * SECOND).await;

    let spans = exporter.get_finished_spans().expect("all spans");
    let (job, replay) = (named(&spans, "job"), named(&spans, "replay"));
    assert_eq!(job.parent_span_id, replay.span_context.span_id());
    assert_eq!(replay.parent_span_id.to_string(), "b7ad6b7169203331");
    let trace = job.span_context.trace_id().to_string();
    assert_eq!(trace, "0af7651916cd43dd8448eb211c80319c");
}
