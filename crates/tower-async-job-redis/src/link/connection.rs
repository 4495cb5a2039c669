use std::collections::BTreeMap;

use redis::{
    Cmd, FromRedisValue, Pipeline, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo},
};

use super::{call::Call, failure::is_unknown_script};

/// A connection that many calls share.
#[derive(Clone)]
pub(crate) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(crate) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        let answer = match self {
            Self::Single(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        };
        answer?.extract_error()
    }

    /// Returns whether the server says that it is a replica, which refuses writes.
    pub(super) async fn is_replica(&mut self) -> bool {
        let mut command = redis::cmd("INFO");
        command.arg("replication");
        let answer = self.send(&command).await;
        let text = answer.and_then(|answer| Ok(String::from_redis_value(answer)?));
        text.is_ok_and(|text| text.contains("role:slave"))
    }

    /// Sends a command to the server, or to each master of the cluster; returns the answers in the
    /// order of their addresses.
    pub(crate) async fn ask_masters(&mut self, command: Cmd) -> RedisResult<Vec<Value>> {
        let Self::Cluster(connection) = self else {
            return Ok(vec![self.send(&command).await?]);
        };
        let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let answer = connection.route_command(command, masters).await?;
        let answers: BTreeMap<String, Value> = FromRedisValue::from_redis_value(answer)?;
        answers.into_values().map(Value::extract_error).collect()
    }

    pub(super) async fn perform(&mut self, work: Work<'_>) -> RedisResult<Value> {
        let commands = match work {
            Work::Script(calls) => {
                return match self.send(&Call::command(calls, true)).await {
                    Err(error) if is_unknown_script(&error) => {
                        self.send(&Call::command(calls, false)).await
                    }
                    answer => answer,
                };
            }
            Work::Command(command) => return self.send(command).await,
            Work::Commands(commands) => commands,
        };
        match self {
            Self::Single(connection) => commands.query_async(connection).await,
            Self::Cluster(connection) => commands.query_async(connection).await,
        }
    }
}

/// The work of one attempt.
#[derive(Clone, Copy)]
pub(super) enum Work<'a> {
    /// Calls of one script, which it runs together.
    Script(&'a [Call]),
    Command(&'a Cmd),
    /// Commands for one server, one after another.
    Commands(&'a Pipeline),
}
