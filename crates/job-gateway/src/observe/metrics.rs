//! The metrics of the process, in the text format of Prometheus.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::runtime::Handle;

const REQUESTS: &str = "gateway_requests_total";
const UNREPLAYABLE: &str = "gateway_unreplayable_requests_total";
const DURATION: &str = "gateway_request_seconds";
const RELOAD: &str = "config_reload_success";
const TASKS: &str = "gateway_tasks";

/// Set once metrics are collected, so that labels are made for a collector only.
static COLLECTED: AtomicBool = AtomicBool::new(false);

/// The bounds of durations, in seconds: from what passes through to the longest jobs.
const BOUNDS: [f64; 12] = [
    0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0,
];

/// Collects the metrics of this and other crates from now on.
///
/// # Errors
///
/// Fails if they are collected already.
pub(crate) fn collect() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets(&BOUNDS);
    let builder = builder.context("the bounds of durations are empty")?;
    let handle = builder.install_recorder();
    let handle = handle.context("the metrics are collected already")?;
    COLLECTED.store(true, Ordering::Relaxed);
    describe_counter!(REQUESTS, Unit::Count, "Requests by their answers");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "From a request to the head of its answer"
    );
    describe_counter!(
        UNREPLAYABLE,
        Unit::Count,
        "Requests that the store does not keep, although their routes are replayed"
    );
    describe_gauge!(RELOAD, "Whether the last reload has replaced the settings");
    describe_gauge!(TASKS, "Tasks of the runtime that have not ended");
    Ok(handle)
}

/// Notes the number of tasks that have not ended.
pub(crate) fn note_tasks() {
    let tasks = Handle::current().metrics().num_alive_tasks();
    gauge!(TASKS).set(tasks as f64);
}

/// Notes whether the last reload, or the start, has put its settings into use.
pub(crate) fn note_reload(succeeded: bool) {
    gauge!(RELOAD).set(u8::from(succeeded));
}

/// Counts a request that cannot be sent again for a reason of its own.
pub(crate) fn count_unreplayable(route: &str, reason: &'static str) {
    if COLLECTED.load(Ordering::Relaxed) {
        counter!(UNREPLAYABLE, "route" => route.to_owned(), "reason" => reason).increment(1);
    }
}

/// A request that was answered, or whose client has left.
pub(crate) struct Answered<'a> {
    pub(crate) route: &'a str,
    pub(crate) method: &'a http::Method,
    pub(crate) status: Option<http::StatusCode>,
    pub(crate) seconds: f64,
}

impl Answered<'_> {
    /// Counts the request. Its labels are few, whatever clients send.
    pub(crate) fn count(&self) {
        if !COLLECTED.load(Ordering::Relaxed) {
            return;
        }
        let labels = [
            ("route", self.route.to_owned()),
            ("method", method(self.method).to_owned()),
            ("status", self.status.map_or("none", class).to_owned()),
        ];
        counter!(REQUESTS, &labels).increment(1);
        histogram!(DURATION, &labels).record(self.seconds);
    }
}

/// Returns the name of a method, if it is known.
fn method(method: &http::Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH" | "TRACE"
        | "CONNECT") => known,
        _ => "other",
    }
}

fn class(status: http::StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}
