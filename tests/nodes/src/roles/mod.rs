//! The roles of other processes.

pub(crate) mod layer;
pub(crate) mod served;
mod store;

use crate::nodes::Nodes;

/// Plays a role, which may have further words.
pub(crate) async fn play(role: &str, data: &impl Nodes) {
    let words: Vec<_> = role.split(' ').collect();
    match words[0] {
        "serve" => served::serve(data, &words[1..]).await,
        "run" => layer::run(data).await,
        "watch" => layer::watch(data).await,
        "end" => layer::end(data).await,
        "record" => layer::record(data).await,
        "die" => layer::die(data).await,
        "stop" => layer::stop(data).await,
        other => store::play(other, data).await,
    }
}
