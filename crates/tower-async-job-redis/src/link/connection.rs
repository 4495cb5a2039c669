use std::collections::BTreeMap;

use redis::{
    Cmd, ErrorKind, FromRedisValue, Pipeline, RedisResult, ServerErrorKind, Value,
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
        match work {
            Work::Script(calls) => match self.send(&Call::command(calls, true)).await {
                Err(error) if is_unknown_script(&error) => {
                    self.send(&Call::command(calls, false)).await
                }
                answer => answer,
            },
            Work::Command(command) => self.send(command).await,
            Work::Commands(commands) => match self {
                Self::Single(connection) => commands.query_async(connection).await,
                Self::Cluster(connection) => commands.query_async(connection).await,
            },
            Work::Reads(commands) => self.read(commands).await,
        }
    }

    /// Sends reads, which a replica does not answer.
    async fn read(&mut self, commands: &Pipeline) -> RedisResult<Value> {
        let connection = match self {
            Self::Single(connection) => connection,
            // A replica refers a reader to its master.
            Self::Cluster(connection) => return commands.query_async(connection).await,
        };
        let mut commands = commands.clone();
        // A master answers it at once.
        commands.cmd("WAIT").arg(0).arg(0);
        let count = commands.len();
        let mut answers = connection.req_packed_commands(&commands, 0, count).await?;
        if let Some(Value::ServerError(error)) = answers.pop()
            && error.details().is_some_and(|text| text.contains("replica"))
        {
            let kind = ErrorKind::Server(ServerErrorKind::ReadOnly);
            return Err((kind, "the server has become a replica").into());
        }
        Value::Array(answers).extract_error()
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
    /// Reads from one server, which is a master.
    Reads(&'a Pipeline),
}
