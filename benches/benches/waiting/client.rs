//! The client process.

use std::{
    pin::Pin,
    str::{self, FromStr},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_rustls::rustls::{ClientConfig, client::Resumption};
use tower::{BoxError, Layer, ServiceExt};
use tower_poll::{PollLayer, reqwest::ReqwestService};

use crate::{Outcome, tls};

/// The kind of the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// hyper-util's client, with TLS by `hyper-rustls` if the server has it, beneath a `PollLayer` that
    /// sends `Prefer: respond-async`.
    Hyper,
    /// reqwest's client beneath the same layer.
    Reqwest,
    /// reqwest's client beneath `PollLayer` with its defaults.
    Unasking,
    /// reqwest's client without the layer, which follows redirects immediately and ignores Retry-After.
    Naive,
}

const KINDS: [Kind; 4] = [Kind::Hyper, Kind::Reqwest, Kind::Unasking, Kind::Naive];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hyper => "hyper",
            Self::Reqwest => "reqwest",
            Self::Unasking => "unasking",
            Self::Naive => "naive",
        }
    }
}

/// The times from the end of the work to its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lateness {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Lateness {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let at = |part: f64| times[(part * (times.len() - 1) as f64).round() as usize];
        Self {
            p50: at(0.5),
            p99: at(0.99),
        }
    }
}

/// Parses the output of the client process: two numbers of microseconds.
impl FromStr for Lateness {
    type Err = BoxError;

    fn from_str(line: &str) -> Outcome<Self> {
        let (p50, p99) = line.split_once(' ').ok_or("two numbers")?;
        Ok(Self {
            p50: Duration::from_micros(p50.parse()?),
            p99: Duration::from_micros(p99.parse()?),
        })
    }
}

/// Submits work by many clients, spread evenly over a time, and prints the lateness of their answers
/// once all have arrived.
#[tokio::main]
pub(crate) async fn run(kind: &str, url: &str, clients: &str, within: &str) -> Outcome<()> {
    let kind = KINDS.into_iter().find(|known| known.name() == kind);
    let kind = kind.ok_or("no such client")?;
    let clients: u32 = clients.parse()?;
    let apart = Duration::from_millis(within.parse()?) / clients;
    let tls = tls::client()?;
    let mut calls = JoinSet::new();
    let begun = Instant::now();
    for client in 0..clients {
        sleep_until(begun + apart * client).await;
        let call = call(kind, url, tls.clone())?;
        calls.spawn(async move { time_since(&call.await?) });
    }
    let mut late = Vec::new();
    while let Some(call) = calls.join_next().await {
        late.push(call??);
    }
    let Lateness { p50, p99 } = Lateness::of(late);
    println!("{} {}", p50.as_micros(), p99.as_micros());
    Ok(())
}

type Call = Pin<Box<dyn Future<Output = Outcome<Bytes>> + Send>>;

/// Makes a call with a separate client.
fn call(kind: Kind, url: &str, mut tls: ClientConfig) -> Outcome<Call> {
    // The client shares nothing with others, like one in a separate process.
    tls.resumption = Resumption::in_memory_sessions(1);
    Ok(match kind {
        Kind::Hyper => {
            let connector = HttpsConnectorBuilder::new()
                .with_tls_config(tls)
                .https_or_http()
                .enable_http1()
                .build();
            let client = Client::builder(TokioExecutor::new()).build(connector);
            let request = Request::post(url).body(Full::<Bytes>::default())?;
            let answer = asking().layer(client).oneshot(request);
            Box::pin(async move { Ok(answer.await?.into_body().collect().await?.to_bytes()) })
        }
        Kind::Reqwest | Kind::Unasking => {
            let layer = match kind {
                Kind::Unasking => PollLayer::new(),
                _ => asking(),
            };
            let client = ReqwestService::build(reqwest::Client::builder())?;
            let request = Request::post(url).body(reqwest::Body::default())?;
            let answer = layer.layer(client).oneshot(request);
            Box::pin(async move { Ok(reqwest::Response::from(answer.await?).bytes().await?) })
        }
        Kind::Naive => {
            let answer = reqwest::Client::new().post(url).send();
            Box::pin(async move { Ok(answer.await?.bytes().await?) })
        }
    })
}

/// Creates the layer of clients that expect slow work.
fn asking() -> PollLayer {
    PollLayer::new().prefer_async(|_| true)
}

/// Returns the time since the end of the work, which its answer contains.
fn time_since(answer: &[u8]) -> Outcome<Duration> {
    let done: u64 = str::from_utf8(answer)?.parse()?;
    let done = UNIX_EPOCH + Duration::from_nanos(done);
    Ok(SystemTime::now().duration_since(done)?)
}
