//! The spans and events of submission, run and polls.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{
    self, Body, Handler, SECOND, eager,
    faulty::{Fault, FaultyStore, Op},
    get, handler, id_of, memory, post, request, send, slow, wrap,
};
use http::{HeaderValue, Method, Response};
use tokio::time::sleep;
use tower_async_job::{
    AsyncJobLayer, JobContext,
    store::{JobStore, NewJob, ReplayedRequest, Start, StoredRequest},
};
use tracing::{
    Event, Instrument, Subscriber,
    field::{Field, Visit},
    info_span,
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    Layer,
    filter::filter_fn,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

#[derive(Debug, Default, Clone)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

#[derive(Debug)]
struct Span {
    id: Id,
    name: &'static str,
    parent: Option<&'static str>,
    follows: Option<Id>,
    fields: Fields,
}

/// All spans, the logged polls, and the ends without a run.
#[derive(Debug, Default, Clone)]
struct Recorder {
    spans: Arc<Mutex<Vec<Span>>>,
    polls: Arc<Mutex<Vec<Fields>>>,
    ends: Arc<Mutex<Vec<Fields>>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).expect("a new span");
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        self.spans.lock().expect("unpoisoned").push(Span {
            id: id.clone(),
            name: span.name(),
            parent: span.parent().map(|parent| parent.name()),
            follows: None,
            fields,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.with(id, |span| values.record(&mut span.fields));
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _: Context<'_, S>) {
        self.with(id, |span| span.follows = Some(follows.clone()));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if fields.0.get("message").is_some_and(|it| it == "job polled") {
            self.polls.lock().expect("unpoisoned").push(fields);
        } else if event.metadata().target() == "tower_async_job::job" {
            self.ends.lock().expect("unpoisoned").push(fields);
        }
    }
}

impl Recorder {
    fn install(&self) -> DefaultGuard {
        let ours = filter_fn(|metadata| !metadata.target().starts_with("tokio"));
        let subscriber = tracing_subscriber::registry().with(self.clone().with_filter(ours));
        tracing::subscriber::set_default(subscriber)
    }

    fn with<T>(&self, id: &Id, look: impl FnOnce(&mut Span) -> T) -> T {
        let mut spans = self.spans.lock().expect("unpoisoned");
        let mut spans = spans.iter_mut().rev();
        look(spans.find(|span| span.id == *id).expect("a known span"))
    }

    fn named<T>(&self, name: &str, look: impl FnOnce(&Span) -> T) -> T {
        let spans = self.spans.lock().expect("unpoisoned");
        let mut spans = spans.iter().filter(|span| span.name == name);
        let span = look(spans.next().expect("a span of this name"));
        assert!(spans.next().is_none(), "more than one");
        span
    }
}

/// Returns a handler that takes a time, and answers with the handle of its job.
fn named_after(time: Duration) -> Handler {
    handler(move |request| async move {
        let handle = JobContext::of(&request).handle();
        sleep(time).await;
        Response::new(Body::from(handle.to_string()))
    })
}

#[tokio::test(start_paused = true)]
async fn run_has_a_span_that_follows_from_the_submission() {
    let recorder = Recorder::default();
    let _installed = recorder.install();
    let layer = AsyncJobLayer::builder().route(|_| "reports");
    let service = wrap(&eager(layer), named_after(SECOND));
    let submission = info_span!("submission");
    let location = send(&service, post("/report"))
        .instrument(submission.clone())
        .await
        .pending()
        .location()
        .to_owned();
    sleep(2 * SECOND).await;
    let handle = send(&service, get(&location)).await.body;
    let id = id_of(&location).encode().as_ref().to_owned();
    recorder.named("job", |job| {
        assert_eq!(job.parent, Some("submission"));
        assert_eq!(job.follows, submission.id());
        let fields = &job.fields.0;
        assert_eq!(fields["route"], "reports");
        assert_eq!(fields["attempt"], "1");
        assert_eq!(fields["state"], "done");
        assert_eq!(fields["handle"], handle);
        assert!(
            !fields.values().any(|value| value.contains(&id[..8])),
            "{fields:?}"
        );
    });
}

#[tokio::test(start_paused = true)]
async fn run_of_a_submission_without_a_span_has_one_all_the_same() {
    let recorder = Recorder::default();
    let _installed = recorder.install();
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(60 * SECOND, "late"));
    let accepted = send(&service, post("/report")).await.pending();
    let cancel = request(Method::DELETE, support::path_of(accepted.location()));
    send(&service, cancel).await;
    sleep(30 * SECOND).await;
    recorder.named("job", |job| {
        assert_eq!(job.parent, None);
        assert_eq!(job.follows, None);
        assert_eq!(job.fields.0["state"], "cancelled");
    });
}

#[tokio::test(start_paused = true)]
async fn span_tells_what_became_of_a_job_that_was_handed_back() {
    let recorder = Recorder::default();
    let _installed = recorder.install();
    let layer = eager(AsyncJobLayer::builder());
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    send(&service, post("/report")).await.pending();
    layer.shutdown(SECOND).await;
    recorder.named("job", |job| assert_eq!(job.fields.0["state"], "lost"));
}

#[tokio::test(start_paused = true)]
async fn span_tells_that_a_lease_was_lost() {
    let recorder = Recorder::default();
    let _installed = recorder.install();
    let store = FaultyStore::shared(30 * SECOND).times(Op::Renew, Fault::Unavailable, 100);
    let layer = eager(AsyncJobLayer::builder().store(store));
    send(&wrap(&layer, slow(60 * SECOND, "late")), post("/report"))
        .await
        .pending();
    sleep(30 * SECOND).await;
    recorder.named("job", |job| assert_eq!(job.fields.0["state"], "lease-lost"));
}

#[tokio::test(start_paused = true)]
async fn span_tells_why_a_result_was_refused() {
    for (state, chunk) in [("cancelled", 1_000), ("cancelled", 10), ("lost", 10)] {
        let recorder = Recorder::default();
        let _guard = recorder.install();
        let store = memory().lease_duration(30 * SECOND).chunk_size(chunk);
        let store = Arc::new(FaultyStore::new(store.build()));
        let layer = eager(AsyncJobLayer::builder().store(store.clone()));
        let service = wrap(&layer, slow(SECOND, "a result of three chunks"));
        let accepted = send(&service, post("/report")).await.pending();
        match state {
            "lost" => store.fail_over(),
            _ => {
                let id = id_of(accepted.location());
                store.now().cancel(&id).await.expect("memory");
            }
        }
        sleep(2 * SECOND).await;
        recorder.named("job", |job| assert_eq!(job.fields.0["state"], state));
    }
}

#[tokio::test(start_paused = true)]
async fn ends_of_jobs_that_run_nowhere_are_logged() {
    let recorder = Recorder::default();
    let _installed = recorder.install();
    let store = Arc::new(memory().lease_duration(30 * SECOND).build());
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    let job = || NewJob::new(store.new_id(None, None)).with_route("reports");
    let stored = StoredRequest::encode(&ReplayedRequest::default());
    let waiting = || {
        job()
            .with_request(stored.clone())
            .with_start(Start::Offered)
    };
    let (of_a_crashed_node, cancelled) = (job(), waiting());
    let late = waiting().with_deadline(10 * SECOND);
    let mut expected = vec![
        (late.handle.to_string(), "timed-out"),
        (of_a_crashed_node.handle.to_string(), "lost"),
        (cancelled.handle.to_string(), "cancelled"),
    ];
    let path = format!("/work/{}", cancelled.id.encode());
    for job in [of_a_crashed_node, cancelled, late] {
        store.create(job).await.expect("memory");
    }
    let service = wrap(&layer, slow(SECOND, "done"));
    send(&service, request(Method::DELETE, &path)).await;
    sleep(60 * SECOND).await;
    let ends = recorder.ends.lock().expect("unpoisoned");
    let mut logged: Vec<_> = ends
        .iter()
        .map(|end| {
            assert_eq!(end.0["route"], "reports");
            assert_eq!(
                end.0["attempt"],
                u8::from(end.0["state"] == "lost").to_string()
            );
            (end.0["handle"].clone(), &*end.0["state"])
        })
        .collect();
    logged.sort();
    expected.sort();
    assert_eq!(logged, expected);
}

#[tokio::test(start_paused = true)]
async fn polls_are_logged() {
    let recorder = Recorder::default();
    let _installed = recorder.install();
    let service = wrap(&eager(AsyncJobLayer::builder()), named_after(7 * SECOND));
    let accepted = send(&service, post("/report")).await.pending();
    let path = support::path_of(accepted.location()).to_owned();
    send(&service, get(&path)).await.pending();
    let mut waiting = get(&format!("{path}?poll=2"));
    let headers = waiting.headers_mut();
    headers.insert("prefer", HeaderValue::from_static("wait=20"));
    let handle = send(&service, waiting).await.body;
    let polls = recorder.polls.lock().expect("unpoisoned");
    let said: Vec<_> = polls
        .iter()
        .map(|poll| {
            let [poll, state, held] = ["poll", "state", "held"].map(|name| &*poll.0[name]);
            (poll, state, held)
        })
        .collect();
    assert_eq!(said, [("0", "running", "false"), ("2", "done", "true")]);
    assert!(polls.iter().all(|poll| poll.0["handle"] == handle));
}

#[tokio::test(start_paused = true)]
async fn trace_context_of_the_submitter_is_there_for_the_run() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let _installed = Recorder::default().install();
    let service = wrap(
        &eager(AsyncJobLayer::builder()),
        handler(|request| async move {
            sleep(Duration::from_secs(3)).await;
            let headers = request.headers();
            let [parent, state] = ["traceparent", "tracestate"].map(|name| &headers[name]);
            let both = [parent.as_bytes(), b" ", state.as_bytes()].concat();
            Response::new(Body::from(both))
        }),
    );
    let submission = support::with(post("/report"), "traceparent", PARENT);
    let submission = support::with(submission, "tracestate", "vendor=1");
    let accepted = send(&service, submission).await.pending();
    sleep(5 * SECOND).await;
    let answer = send(&service, get(accepted.location())).await;
    assert_eq!(answer.body, format!("{PARENT} vendor=1"));
}

/// Returns the names of the current span and its parents.
fn scope() -> Vec<&'static str> {
    let current = tracing::Span::current().id();
    tracing::dispatcher::get_default(|subscriber| {
        let registry = subscriber.downcast_ref::<tracing_subscriber::Registry>();
        let span = registry.and_then(|registry| registry.span(current.as_ref()?));
        span.into_iter()
            .flat_map(|span| span.scope())
            .map(|span| span.name())
            .collect()
    })
}

#[tokio::test(start_paused = true)]
async fn the_span_goes_along_with_the_job() {
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let names = seen.clone();
    let handler = handler(move |_| {
        let names = names.clone();
        async move {
            for _ in 0..3 {
                names.lock().expect("unpoisoned").push(scope());
                sleep(SECOND).await;
            }
            Response::new(Body::default())
        }
    });
    let layer = eager(AsyncJobLayer::builder());
    let service = wrap(&layer, handler);
    send(&service, post("/report"))
        .instrument(info_span!("the request"))
        .await
        .pending();
    sleep(5 * SECOND).await;
    let inline: &[_] = &["the request"];
    let job: &[_] = &["job", "the request"];
    assert_eq!(*seen.lock().expect("unpoisoned"), [inline, job, job]);
}
