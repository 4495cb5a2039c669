//! A poll policy that combines adapters of tower-poll with a custom one.
//!
//! ```text
//! cargo run -p custom-policy
//! ```
//!
//! The example sends two requests to a server that handles one at a time, so that the other one is
//! queued. [`SlowWhileQueued`] polls a queued job less often.

mod server;
mod slow_while_queued;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{ServiceBuilder, ServiceExt};
use tower_poll::{
    Hop, PollLayer, PollPolicy, PollPolicyExt, Refusal,
    policy::{Jitter, ServerDelay, policy_fn},
};

use self::slow_while_queued::SlowWhileQueued;

/// Creates the policy.
///
/// Each adapter sees the decision of the one before it. The layer calls the combined policy once per
/// pending answer, and clones it for each call.
fn policy() -> impl PollPolicy + Clone {
    SlowWhileQueued::new(ServerDelay::new(), 4)
        .clamp(Duration::from_millis(50)..=Duration::from_secs(5))
        .jitter(Jitter::up_to(0.1))
        .same_origin()
        .and(policy_fn(reports_only))
        .prepare(|parts, hop| {
            let state = hop.state().map_or("pending", |state| state.as_str());
            println!(
                "poll {} of a job that was {state}, after {:?}",
                hop.poll(),
                hop.elapsed()
            );
            parts
                .headers
                .insert("x-poll", HeaderValue::from(hop.poll()));
        })
}

/// Refuses polls outside of `/work/`, and leaves the delay to other policies.
fn reports_only(hop: &Hop<'_>) -> Result<Duration, Refusal> {
    if hop.to().path().starts_with("/work/") {
        Ok(Duration::ZERO)
    } else {
        Err(Refusal::new("jobs are only ever found below /work"))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = server::start().await?;
    let client = ServiceBuilder::new()
        .layer(PollLayer::with_policy(policy()))
        .service(Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>());

    let call = async || {
        let request = Request::post(&url).body(Full::default())?;
        let response = client.clone().oneshot(request).await?;
        let body = response.into_body().collect().await?.to_bytes();
        println!("answer: {}", String::from_utf8_lossy(&body));
        anyhow::Ok(())
    };
    tokio::try_join!(call(), call())?;
    Ok(())
}
