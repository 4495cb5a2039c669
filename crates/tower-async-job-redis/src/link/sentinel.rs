//! Sentinels, which know the master of a group of servers.

use std::fmt;

use redis::{
    ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, RedisConnectionInfo, RedisResult,
    Value,
};

use super::connection::Connection;

/// The master that Sentinels are asked for.
#[derive(Clone)]
pub(crate) struct Sentinel {
    pub(crate) master: String,
    /// The user and the password of the Sentinels themselves.
    pub(crate) login: Option<(String, String)>,
}

impl Sentinel {
    /// Returns the Sentinel at this address, which otherwise is that of the master.
    pub(super) fn at(&self, address: &ConnectionInfo) -> ConnectionInfo {
        let settings = RedisConnectionInfo::default();
        let settings = match &self.login {
            Some((user, password)) => settings.set_username(user).set_password(password),
            None => settings,
        };
        address.clone().set_redis_settings(settings)
    }

    /// Asks a Sentinel for the master; its user, password, database and encryption are those of
    /// `address`.
    pub(super) async fn find(
        &self,
        sentinel: &mut Connection,
        address: &ConnectionInfo,
    ) -> RedisResult<ConnectionInfo> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let answer = sentinel.send(&command).await?;
        if answer == Value::Nil {
            let kind = ErrorKind::MasterNameNotFoundBySentinel;
            return Err((kind, "no master has this name", self.master.clone()).into());
        }
        let (host, port) = <(String, u16)>::from_redis_value(answer)?;
        let found = match address.addr() {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        Ok(address.clone().set_addr(found))
    }
}

impl fmt::Debug for Sentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinel")
            .field("master", &self.master)
            .finish_non_exhaustive()
    }
}
