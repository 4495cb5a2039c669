//! The list of a client's own jobs.

use super::Builder;

impl Builder {
    /// Sets whether GET of the [base](Self::base) lists the jobs of the request's
    /// [principal](Self::principal): the status document of each, with its URL as `href`, newest
    /// first, in pages. Default no.
    ///
    /// A request without a principal is answered with 404, as are those for jobs of others. Jobs
    /// without a principal are in no list. The base is then the list's for all methods, and no
    /// longer reaches the inner service. It is served by
    /// [`AsyncJobLayer::resource`](crate::AsyncJobLayer::resource) too.
    ///
    /// The parameter `limit` is the length of a page (1 to 100, by default 50), and `after` its
    /// beginning. The `next` member, and the `Link` field with `rel="next"` (RFC 8288), refer to
    /// the next page, relative to the request's URL, until the end is reached. The list is no
    /// snapshot, but no job is in it twice, and each that is there throughout is in it once. The
    /// documents have neither partial results nor long metadata.
    ///
    /// ```json
    /// {
    ///   "jobs": [{
    ///     "id": "0a9d62a34b1f4f6c9d0a1b2c3d4e5f60", "state": "running",
    ///     "created": "2026-01-02T03:04:05.678Z", "started": "2026-01-02T03:04:05.679Z",
    ///     "attempt": 1, "retry_after_ms": 3000, "progress": { "fraction": 0.5 },
    ///     "href": "/work/0a9d62a34b1f4f6c9d0a1b2c3d4e5f60"
    ///   }],
    ///   "next": "?limit=1&after=1767323045678000-8a3c0f5e1b7d9246"
    /// }
    /// ```
    ///
    /// ```
    /// use tower_async_job::{AsyncJobLayer, store::Principal};
    ///
    /// let layer = AsyncJobLayer::builder()
    ///     .principal(|request| {
    ///         let user = request.headers.get("x-user")?.to_str().ok()?;
    ///         Some(Principal::new(user))
    ///     })
    ///     .list_own_jobs(true)
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    ///
    /// Without a function for principals, [`build`](Self::build) fails.
    pub fn list_own_jobs(mut self, enabled: bool) -> Self {
        self.config.lists_own_jobs = enabled;
        self
    }
}
