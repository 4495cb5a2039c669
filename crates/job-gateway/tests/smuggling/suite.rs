//! The suite: all vectors, before three servers.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, future, stream};
use test_services::available;
use tokio::{io::copy_bidirectional, net::TcpStream, time::sleep};

use crate::{
    logged::{Logged, Sent},
    recorder::{Recorder, Seen},
    support::Upstream,
    vectors::{Vector, vectors},
    wire::statuses,
};

/// The vectors that are sent at once.
const AT_ONCE: usize = 16;

/// The time limit of a response on a busy machine, and that of one that may never come.
const PATIENCE: Duration = Duration::from_secs(10);
const HURRY: Duration = Duration::from_millis(300);

/// Fields that differ from one attempt to the next.
const VARYING: [&str; 4] = [
    "cancel-after",
    "job-handle",
    "job-progress-url",
    "traceparent",
];

/// Fields that no client can send to a server.
const REMOVED: [&str; 9] = [
    "connection",
    "expect",
    "http2-settings",
    "job-principal",
    "keep-alive",
    "proxy",
    "proxy-authorization",
    "te",
    "upgrade",
];

#[tokio::test(flavor = "multi_thread")]
async fn servers_receive_the_requests_that_the_gateway_has_sent_on() {
    let Some(recorders) = recorders().await else {
        return;
    };
    let gateways = future::join_all(recorders.iter().map(Logged::before)).await;
    let addresses = gateways
        .iter()
        .map(|logged| logged.gateway.address().to_owned());
    let flaws = flaws(&recorders, addresses.collect(), PATIENCE, is_of_the_gateway).await;
    let count = flaws.len();
    let flaws: Vec<_> = flaws.into_values().flatten().collect();
    assert!(flaws.is_empty(), "{count} vectors:\n{}", flaws.join("\n"));
    agree_with_the_logs(&recorders, &gateways);
}

/// Demands that servers have received what the gateways before them have sent, as they have logged it.
pub(crate) fn agree_with_the_logs(recorders: &[Recorder], gateways: &[Logged]) {
    for (recorder, logged) in recorders.iter().zip(gateways) {
        let mut seen: Vec<_> = recorder.seen().iter().map(Sent::of).collect();
        seen.sort();
        assert_eq!(seen, logged.sent(), "{}", recorder.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_copies_bytes_does_not_pass() {
    let Some(recorders) = recorders().await else {
        return;
    };
    let proxies = future::join_all(recorders.iter().map(copying)).await;
    let addresses = proxies.iter().map(|proxy| proxy.address.to_string());
    let flaws = flaws(&recorders, addresses.collect(), HURRY, |_| Ok(())).await;
    // The servers do not even agree among themselves.
    for name in [
        "a length that ends within the hidden request",
        "chunked twice",
        "no coding",
        "two fields, chunked last",
    ] {
        assert!(flaws.contains_key(name), "{name}: {flaws:?}");
    }
}

/// Starts a proxy that copies bytes both ways.
async fn copying(recorder: &Recorder) -> Upstream {
    let address = recorder.url().replace("http://", "");
    Upstream::of_connections(move |mut client| {
        let address = address.clone();
        async move {
            let mut server = TcpStream::connect(address).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    })
    .await
}

pub(crate) async fn recorders() -> Option<[Recorder; 3]> {
    Some([
        available(Recorder::gunicorn())?,
        available(Recorder::node())?,
        Recorder::hyper().await,
    ])
}

/// Returns what is wrong, for each vector.
async fn flaws(
    recorders: &[Recorder],
    addresses: Vec<String>,
    patience: Duration,
    is_sound: fn(&Seen) -> Result<(), String>,
) -> BTreeMap<&'static str, Vec<String>> {
    let vectors = vectors();
    let runs = vectors.iter().enumerate().map(|(number, vector)| {
        let addresses = &addresses;
        async move {
            let bytes = vector.bytes(number);
            let expected = vector.outcome.split(", ").count();
            let responses = addresses.iter();
            let responses = responses.map(|address| statuses(address, &bytes, expected, patience));
            future::join_all(responses).await
        }
    });
    let statuses: Vec<_> = stream::iter(runs).buffered(AT_ONCE).collect().await;
    // Time for requests that no client has sent.
    sleep(HURRY).await;
    let seen: Vec<_> = recorders.iter().map(Recorder::seen).collect();
    let mut flaws = BTreeMap::<_, Vec<_>>::new();
    for (number, vector) in vectors.iter().enumerate() {
        let path = Vector::path(number);
        let mut heads = Vec::new();
        for (index, recorder) in recorders.iter().enumerate() {
            let requests = seen[index].iter();
            let requests = requests.filter(|request| request.is_of(&path));
            let requests: Vec<_> = requests.collect();
            let mut report = |flaw: String| {
                let flaw = format!("{} ({path}), {}: {flaw}", vector.name, recorder.name());
                flaws.entry(vector.name).or_default().push(flaw);
            };
            let outcome = outcome(&statuses[number][index], &requests);
            if outcome != vector.outcome {
                let expected = vector.outcome;
                report(format!("{outcome:?} instead of {expected:?}"));
            }
            let first = requests.first().filter(|_| vector.is_good);
            if first.is_some_and(|first| !first.fields.contains_key("x-good")) {
                report("x-good has not arrived".to_owned());
            }
            for request in &requests {
                if let Err(flaw) = is_sound(request) {
                    report(format!("{flaw} in {request:?}"));
                }
            }
            heads.push(requests.into_iter().map(comparable).collect::<Vec<_>>());
            if heads[0] != heads[index] {
                report(format!("{:?} instead of {:?}", heads[index], heads[0]));
            }
        }
    }
    flaws
}

/// Returns the statuses of responses, each with its request.
fn outcome(statuses: &[u16], requests: &[&Seen]) -> String {
    let mut requests = requests.iter();
    let mut outcomes: Vec<_> = statuses
        .iter()
        .map(|status| match status {
            200 => match requests.next() {
                Some(request) => format!("200 {} {}", request.method, request.body),
                None => "200 without a request".to_owned(),
            },
            status => status.to_string(),
        })
        .collect();
    outcomes.extend(requests.map(|request| format!("{request} without a response")));
    outcomes.join(", ")
}

/// Returns the parts of a request that do not differ from one attempt to the next.
fn comparable(request: &Seen) -> (String, BTreeMap<&str, String>) {
    let names = request.fields.keys().map(String::as_str);
    let names = names.filter(|name| !VARYING.contains(name));
    let fields = names.map(|name| (name, request.field(name).unwrap_or_default()));
    (request.to_string(), fields.collect())
}

/// Fails unless a request is one as the gateway writes them.
pub(crate) fn is_of_the_gateway(request: &Seen) -> Result<(), String> {
    let is = |name: &str, expected: &str| match request.field(name) {
        Some(value) if value == expected => Ok(()),
        value => Err(format!("{name}: {value:?}")),
    };
    is("host", "a")?;
    is("job-attempt", "1")?;
    is("x-forwarded-for", "127.0.0.1")?;
    is("x-forwarded-proto", "http")?;
    is("forwarded", "for=127.0.0.1;host=a;proto=http")?;
    let handle = request.field("job-handle").unwrap_or_default();
    if handle.len() != 16 || !handle.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("job-handle: {handle:?}"));
    }
    let progress = request.field("job-progress-url");
    if progress.is_some_and(|url| !url.starts_with("http://127.0.0.1:")) {
        return Err("a URL of another server for progress".to_owned());
    }
    let via = request.field("via").unwrap_or_default();
    let hop = via.rsplit(", ").next().unwrap_or_default();
    if !["1.0 job-gateway", "1.1 job-gateway", "2 job-gateway"].contains(&hop) {
        return Err(format!("via: {via:?}"));
    }
    let is_removed = |name: &&String| {
        REMOVED.contains(&name.as_str()) || name.contains('_') || name.starts_with("x-evil")
    };
    if let Some(name) = request.fields.keys().find(is_removed) {
        return Err(format!("{name} has arrived"));
    }
    Ok(())
}
