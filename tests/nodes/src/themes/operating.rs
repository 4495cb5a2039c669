//! The list of jobs, probes and metrics for operators of a store that processes share.

use std::{collections::BTreeSet, time::Duration};

use axum::Router;
use http::{Method, StatusCode};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::Value;
use tokio::time::sleep;
use tower_async_job::Builder;

use crate::{
    child::Child,
    node::{Answer, Node, id_of, request, send, until, until_async},
    nodes::{LEASE, Nodes, Settings},
    roles::served::Served,
    routes::{endless, slow},
    run::Ran,
};

/// The time after which a node that is cut off is not ready.
const CUT_OFF: Duration = Duration::from_secs(1);

/// Asks the operators' resource of a node.
async fn operate(node: &Node, method: Method, path: &str) -> Answer {
    let app = Router::new().nest_service("/jobs", node.jobs.operator_resource());
    send(&app, request(method, &format!("/jobs{path}"))).await
}

/// Returns the jobs that a node lists for operators, and the query of the next page.
async fn list(node: &Node, query: &str) -> (Vec<Value>, Option<String>) {
    let answer = operate(node, Method::GET, query).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let mut page: Value = serde_json::from_slice(&answer.body).unwrap();
    let next = page["next"].as_str().map(str::to_owned);
    let Value::Array(jobs) = page["jobs"].take() else {
        panic!("{page}");
    };
    (jobs, next)
}

pub(crate) async fn operators_list_and_cancel_the_jobs_of_another_process(
    data: &impl Nodes,
) -> Ran {
    let mut process = Served::start(data, "");
    let node = Node::new(data, endless()).await?;
    let url = process.submit("POST /once user:a");
    process.tell("half");
    assert_eq!(process.word(), "reported");
    for _ in 0..2 {
        process.submit("POST /again user:b");
    }

    let (jobs, _) = list(&node, "?state=running&principal=a").await;
    let [job] = &jobs[..] else {
        panic!("{jobs:?}");
    };
    assert_eq!((&job["owned"], &job["attempt"]), (&true.into(), &1.into()));
    assert_eq!(job["progress"]["fraction"], 0.5);
    let handle = job["handle"].as_str().unwrap();
    let id = id_of(&url).encode();
    assert!(!job.to_string().contains(id.as_str()), "{job}");

    let mut handles = BTreeSet::new();
    let mut page = "?limit=1".to_owned();
    for _ in 0..3 {
        let (jobs, next) = list(&node, &page).await;
        handles.extend(jobs.iter().map(|job| job["handle"].to_string()));
        page = next.unwrap_or_default();
    }
    assert_eq!(handles.len(), 3);
    assert_eq!(list(&node, "?principal=b").await.0.len(), 2);

    let job = format!("/{handle}");
    let cancelled = operate(&node, Method::DELETE, &job).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    assert_eq!(process.word(), "cancelled");
    let again = operate(&node, Method::DELETE, &job).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let (jobs, _) = list(&node, "?state=cancelled").await;
    assert!(jobs.len() == 1 && jobs[0]["handle"] == *handle, "{jobs:?}");
    Ok(())
}

/// Returns the status of a probe.
async fn probe(node: &Node, path: &str) -> StatusCode {
    let app = Router::new().route_service("/readyz", node.jobs.readiness());
    send(&app, request(Method::GET, path)).await.status
}

pub(crate) async fn s17_nodes_stay_ready_without_their_store_and_strict_probes_and_options_tell_it(
    data: &impl Nodes,
) -> Ran {
    let hasty = Settings {
        operation_timeout: Some(CUT_OFF),
        ..Settings::default()
    };
    let cautious = |layer: Builder| layer.unready_after(CUT_OFF);
    let [node, careful] = [
        Node::with(data, endless(), |layer| layer, hasty).await?,
        Node::with(data, endless(), cautious, hasty).await?,
    ];
    let are_well = async || {
        for node in [&node, &careful] {
            for path in ["/readyz", "/readyz?strict"] {
                if probe(node, path).await != StatusCode::OK {
                    return false;
                }
            }
        }
        true
    };
    until_async("the store is reached", are_well).await;
    // Each counts the other.
    sleep(LEASE).await;
    let outage = data.outage().await?;
    let is = async |node, path, status| probe(node, path).await == status;
    let (well, away) = (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE);
    if reads_go_on(data) {
        sleep(2 * CUT_OFF).await;
    } else {
        let strict = "/readyz?strict";
        until_async("it is told", async || is(&node, strict, away).await).await;
        until_async("it is not ready", async || {
            is(&careful, "/readyz", away).await
        })
        .await;
    }
    assert_eq!(probe(&node, "/readyz").await, well);
    outage.await?;
    until_async("the store is reached again", are_well).await;
    Ok(())
}

const fn reads_go_on<N: Nodes>(_: &N) -> bool {
    N::READS_DURING_OUTAGES
}

/// The metrics of one node, in a process of several.
struct Metrics(PrometheusHandle);

impl Metrics {
    /// Records the metrics of this process from now on.
    fn install() -> Self {
        Self(PrometheusBuilder::new().install_recorder().unwrap())
    }

    /// Returns the labels and values of the node's metric.
    fn of(&self, name: &str) -> Vec<(String, f64)> {
        let text = self.0.render();
        let lines = text.lines().filter(|line| line.contains(r#"node="a""#));
        let named = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        let parts = named.map(|line| line.rsplit_once("} ").unwrap());
        parts
            .map(|(labels, value)| (labels.to_owned(), value.parse().unwrap()))
            .collect()
    }

    /// Returns the sum of the values.
    fn sum(&self, name: &str) -> f64 {
        self.of(name).iter().map(|(_, value)| value).sum()
    }

    /// Waits until the sum of the values is as expected.
    async fn until(&self, name: &str, is_expected: impl Fn(f64) -> bool) {
        until(name, || is_expected(self.sum(name))).await;
    }

    /// Returns the names of all labels.
    fn labels(&self) -> BTreeSet<String> {
        let text = self.0.render();
        let lines = text.lines().filter(|line| line.contains(r#"node="a""#));
        let labels = lines.filter_map(|line| line.split_once('{')?.1.split_once('}'));
        let labels = labels.flat_map(|(labels, _)| labels.split(','));
        let names = labels.filter_map(|label| label.split_once('='));
        names.map(|(name, _)| name.to_owned()).collect()
    }
}

pub(crate) async fn metrics_of_a_node_tell_the_state_of_the_store_and_the_fate_of_jobs_of_others(
    data: &impl Nodes,
) -> Ran {
    let metrics = Metrics::install();
    let mut process = Child::start("run", data);
    let [again, once] = [(); 2].map(|()| process.word().unwrap());
    let named = |layer: Builder| layer.node_name("a");
    let node = Node::configured(data, slow(LEASE / 10), named).await?;
    node.get(&again).await.location();
    let is = |expected: f64| move |value: f64| value == expected;
    metrics.until("async_job_store_pending", is(2.0)).await;
    metrics.until("async_job_store_nodes", is(2.0)).await;
    metrics.until("async_job_store_up", is(1.0)).await;
    assert_eq!(metrics.sum("async_job_lost_total"), 0.0);

    process.kill();
    metrics.until("async_job_lost_total", is(1.0)).await;
    let oldest_due = "async_job_store_oldest_due_seconds";
    metrics.until(oldest_due, |age| age > 0.0).await;
    assert_eq!(node.get(&once).await.state(), "lost");
    node.work();
    assert_eq!(node.ended(&again).await.body, "attempt 2");
    assert_eq!(metrics.sum("async_job_rerun_total"), 1.0);
    metrics.until(oldest_due, is(0.0)).await;
    metrics.until("async_job_store_pending", is(0.0)).await;
    metrics.until("async_job_store_nodes", is(1.0)).await;

    let outage = data.outage().await?;
    metrics.until("async_job_store_up", is(0.0)).await;
    outage.await?;
    metrics.until("async_job_store_up", is(1.0)).await;
    let errors = metrics.of("async_job_store_errors_total");
    let is_kind = |(labels, _): &(String, f64)| labels.contains(r#"kind="unavailable""#);
    assert!(
        errors.iter().all(is_kind) && !errors.is_empty(),
        "{errors:?}"
    );

    let calls = metrics.of("async_job_store_call_seconds_count");
    for method in ["read", "sweep", "claim", "finish"] {
        let label = format!(r#"method="{method}""#);
        assert!(
            calls.iter().any(|(labels, _)| labels.contains(&label)),
            "{calls:?}"
        );
    }
    // None of them has as many values as there are jobs.
    let known = [
        "kind", "method", "node", "quantile", "reason", "result", "state", "store",
    ];
    let known = known.map(str::to_owned).into();
    let labels = metrics.labels();
    assert!(labels.is_subset(&known), "{labels:?}");
    Ok(())
}
