//! The settings of jobs that are run again.

use http::HeaderName;
use http_polling::RequestHead;
use serde::{Serialize, de::DeserializeOwned};

use super::Builder;
use crate::config::{Role, extension::KeptExtension};

impl Builder {
    /// Selects the requests that are stored with their jobs, so that a
    /// [`Worker`](crate::AsyncJobLayer::worker) runs them again if their node crashes or shuts
    /// down. Default: none; a job is then `lost` with its node. [`Policy`](crate::Policy) selects
    /// further ones.
    ///
    /// Such a request is read to its end before its handler is called, so it is refused with 413
    /// beyond the [spool](Self::request_spool). It is stored in the same step as its job: method,
    /// target, body, trailers, and the [headers](Self::keep_header) and
    /// [extensions](Self::keep_extension) that are kept. Its [principal](Self::principal) is in the
    /// extensions of the first run and of each later one.
    ///
    /// # Guarantees that the application must give
    ///
    /// **The handler may run more than once**, also several times at once: a node that was cut off
    /// from the store may still run it when a worker begins. Only one result is ever visible.
    /// Effects outside of the layer, such as charges and mails, must therefore be repeatable: use
    /// the job's [handle](crate::JobContext::handle) as a key, which is the same in all runs.
    /// [`attempt`](crate::JobContext::attempt) tells the handler that earlier runs have begun:
    /// above 1, it can look for what they left, such as a file under the handle. An attempt that is
    /// given back, as at a shutdown, has the same number again. An `Idempotency-Key` makes one job
    /// of all repeats of a request, and so one handle, but not one run.
    ///
    /// Later runs skip the layers outside of the worker's routes, such as authentication: what
    /// these leave in the request must be kept as extensions.
    ///
    /// Only a run that ended with its node is repeated. An answer of the handler is the result, also
    /// one with status 500, as is its panic. The second attempt begins as soon as the lease of the
    /// first has ended. Each later one waits for 1 s first, then 2 s, 4 s, at most a minute, a part
    /// of which is random; meanwhile the job is `queued`, and takes no place of a worker. After
    /// [`max_attempts`](Self::max_attempts) the job ends as failed.
    ///
    /// ```
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder()
    ///     .replay_when(|request| request.uri.path().starts_with("/reports"))
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn replay_when(
        mut self,
        predicate: impl Fn(RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config.replay = Some(Box::new(predicate));
        self
    }

    /// Sets the number of runs that a job whose request is stored may begin, crashed ones included.
    /// Default 3.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.config.policy.max_attempts = attempts;
        self
    }

    /// Adds a header that is stored with the requests that can be
    /// [replayed](Self::replay_when). Default: `Content-*`, `Accept*`, `Idempotency-Key`, `TE`,
    /// `traceparent`, `tracestate`, and those of gRPC's encodings. Credentials, such as `Authorization` and `Cookie`, are only
    /// stored if they are named here.
    ///
    /// ```
    /// use http::header::HOST;
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder().keep_header(HOST).build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn keep_header(mut self, name: HeaderName) -> Self {
        self.config.policy.kept_headers.push(name);
        self
    }

    /// Stores an extension, such as the user that an authentication layer has found, with the
    /// requests that can be [replayed](Self::replay_when). It is stored as JSON under this name. A
    /// job whose extensions cannot be restored ends as failed.
    ///
    /// A type of another crate that cannot be serialised, such as axum's `ConnectInfo`, needs one
    /// of your own: a middleware outside of the layer sets it, and one within the worker's routes
    /// sets the other's from it.
    ///
    /// ```
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder()
    ///     .keep_extension::<String>("tenant")
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn keep_extension<T>(mut self, name: &'static str) -> Self
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        self.config.extensions.push(KeptExtension::of::<T>(name));
        self
    }

    /// Sets the node's [`Role`]. Default [`Role::Both`].
    pub fn role(mut self, role: Role) -> Self {
        self.config.role = role;
        self
    }

    /// Sets whether a [front](Role::Front) refuses a request that may become a job but cannot be
    /// replayed, with 503. Default no: the front runs it itself.
    pub fn refuse_local_jobs(mut self, enabled: bool) -> Self {
        self.config.refuse_local = enabled;
        self
    }
}
