//! The name of the node, and its readiness.

use std::{sync::Arc, time::Duration};

use super::Builder;

impl Builder {
    /// Names this node: the label `node` of its metrics, and the worker of its claims. Default: no
    /// name and no such label, since most collectors label the process themselves.
    ///
    /// Each process has one name, such as that of its host or pod. One that is new with each start
    /// makes new time series with each start.
    ///
    /// ```
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder().node_name("reports-3").build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn node_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.node.name = Some(name.into());
        self
    }

    /// Makes a node [unready](crate::AsyncJobLayer::readiness) once all its calls to the store have
    /// failed for this time, such as 30 s, if the latest sweep counted other nodes. It is ready again
    /// with the next answer of the store. Default: it stays ready, and answers 503 with Retry-After.
    ///
    /// A node cannot know whether the others still reach the store. If none does, all of them become
    /// unready. Set this only if the load balancer then continues to send requests to all nodes
    /// (Envoy's panic mode, target groups of AWS), or if the link of one node fails more often than
    /// the store: clients otherwise get no answer instead of a 503 with Retry-After.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder()
    ///     .unready_after(Duration::from_secs(30))
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn unready_after(mut self, time: Duration) -> Self {
        self.node.unready_after = Some(time);
        self
    }
}
