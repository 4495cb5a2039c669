//! The roles of other processes.

pub(crate) mod layer;
mod store;

use crate::nodes::Nodes;

/// Plays a role.
pub(crate) async fn play(role: &str, data: &impl Nodes) {
    match role {
        "run" => layer::run(data).await,
        "watch" => layer::watch(data).await,
        "end" => layer::end(data).await,
        "record" => layer::record(data).await,
        "die" => layer::die(data).await,
        "stop" => layer::stop(data).await,
        other => store::play(other, data).await,
    }
}
