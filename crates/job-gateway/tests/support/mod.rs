//! The gateway as a process, its servers and its clients.
#![allow(
    dead_code,
    unused_imports,
    reason = "each theme is a program of its own, and uses a part"
)]

mod client;
mod gateway;
pub(crate) mod http2;
pub(crate) mod token;
mod upstream;

pub(crate) use self::{
    client::{Answer, client, get, send, talk},
    gateway::{Gateway, command},
    upstream::{Body, Seen, Upstream, full},
};

use std::time::Duration;

/// Waits for a future, but not for ever.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    let ended = tokio::time::timeout(Duration::from_secs(20), future).await;
    ended.expect("it takes longer than 20 s")
}
