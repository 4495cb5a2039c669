//! The trace of a job over the nodes that accept, run and answer it.

use opentelemetry::{global::set_text_map_propagator, trace::TracerProvider};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{InMemorySpanExporter, SdkTracerProvider, SpanData},
};
use tokio::time::{Instant, sleep};
use tower_async_job_core::{Lease, Release, Released};
use tracing::{Instrument, info_span};
use tracing_subscriber::layer::SubscriberExt;

use crate::{
    jobs::open,
    node::{Node, RECOVERY, id_of},
    nodes::{LEASE, Nodes},
    routes::{endless, slow},
    run::Ran,
};

/// Returns the spans of the only submission once it has ended, and those that are linked to them.
fn of_the_submission(exporter: &InMemorySpanExporter) -> Vec<SpanData> {
    let mut spans = exporter.get_finished_spans().unwrap();
    let submission = spans.iter().find(|span| span.name == "submission");
    let Some(trace) = submission.map(|span| span.span_context.trace_id()) else {
        return Vec::new();
    };
    spans.retain(|span| {
        let mut links = span.links.iter();
        span.span_context.trace_id() == trace
            || links.any(|link| link.span_context.trace_id() == trace)
    });
    spans
}

/// Returns the spans with this name, in the order of their begin.
fn named<'s>(spans: &'s [SpanData], name: &str) -> Vec<&'s SpanData> {
    let named = spans.iter().filter(|span| span.name == name);
    let mut named: Vec<_> = named.collect();
    named.sort_by_key(|span| span.start_time);
    named
}

fn is_linked(from: &SpanData, to: &SpanData) -> bool {
    let mut links = from.links.iter();
    links.any(|link| {
        let (link, to) = (&link.span_context, &to.span_context);
        (link.trace_id(), link.span_id()) == (to.trace_id(), to.span_id())
    })
}

pub(crate) async fn one_trace_leads_from_the_submission_over_a_later_run_elsewhere_to_the_polls(
    data: &impl Nodes,
) -> Ran {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let traced = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let filtered = tracing_subscriber::filter::LevelFilter::INFO;
    let subscriber = tracing_subscriber::registry().with(filtered).with(traced);
    // Jobs run on any thread. Other tests of the process are traced too.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    set_text_map_propagator(TraceContextPropagator::new());

    let front = Node::new(data, endless()).await?;
    let submission = info_span!("submission");
    let url = front.submit("/again").instrument(submission).await;
    let poll = front.get(&url).instrument(info_span!("early poll")).await;
    poll.location();
    // Its run loses its lease, and goes on until that is noticed.
    let store = open(data).await?;
    let lease = Lease::new(id_of(&url), 1);
    let released = store.release(&[lease], Release::default()).await;
    assert_eq!(released.unwrap(), [Released::Queued]);
    let other = Node::new(data, slow(LEASE / 4)).await?;
    other.work();
    assert_eq!(other.ended(&url).await.body, "attempt 2");
    let poll = front.get(&url).instrument(info_span!("last poll")).await;
    assert_eq!(poll.body, "attempt 2");
    assert!(!poll.headers.contains_key("job-run-span"));
    let poll = other.get(&url).instrument(info_span!("other poll")).await;
    assert!(!poll.headers.contains_key("job-run-span"));

    let begun = Instant::now();
    let spans = loop {
        let spans = of_the_submission(&exporter);
        if named(&spans, "job").len() == 2 {
            break spans;
        }
        assert!(begun.elapsed() < RECOVERY, "{spans:#?}");
        sleep(LEASE / 20).await;
    };
    let ([first, second], [submission], [replay]) = (
        named(&spans, "job")[..].try_into().unwrap(),
        named(&spans, "submission")[..].try_into().unwrap(),
        named(&spans, "replay")[..].try_into().unwrap(),
    );
    let [first, second, submission, replay]: [&SpanData; 4] = [first, second, submission, replay];
    for (run, attempt) in [(first, "1"), (second, "2")] {
        let mut attributes = run.attributes.iter();
        let told = attributes.find(|attribute| attribute.key.as_str() == "attempt");
        assert_eq!(told.unwrap().value.as_str(), attempt);
        let trace = submission.span_context.trace_id();
        assert_eq!(run.span_context.trace_id(), trace);
    }
    assert!(is_linked(first, submission));
    assert!(is_linked(second, replay) && is_linked(replay, submission));
    assert_eq!(second.parent_span_id, replay.span_context.span_id());
    assert_eq!(replay.parent_span_id, submission.span_context.span_id());
    assert!(is_linked(named(&spans, "early poll")[0], first));
    for poll in ["last poll", "other poll"] {
        let [poll] = named(&spans, poll)[..] else {
            panic!("{poll} is there once");
        };
        assert!(
            is_linked(poll, second) && poll.links.len() == 1,
            "{poll:#?}"
        );
    }
    Ok(())
}
