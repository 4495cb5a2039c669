//! The events of jobs.

use super::Builder;

impl Builder {
    /// Sets whether jobs have a stream of events (server-sent events, as browsers' `EventSource`
    /// reads them) at `{job}/events`. Default no; the path is then as unknown as any other.
    ///
    /// Each event has the status document as JSON: `progress` whenever the job has changed, at most
    /// once per second, and `end` once it has ended, with the job's URL as the member `location`. A
    /// client that connects again gets what has changed since its `Last-Event-ID`, and 204 if it has
    /// had the end. Pending answers carry `Link: <{job}/events>; rel="monitor"`.
    ///
    /// A stream counts as a held poll: it has the same [limits](Self::hold_limits), and is refused
    /// with 429 beyond them. It is silent for no longer than the [longest hold](Self::max_hold), and
    /// ends after ten times that time. It reads the store once per second, and less often if a node
    /// holds more than 1,000 polls and streams.
    ///
    /// ```
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder().events(true).build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    ///
    /// In a browser, where `job` is the job's URL, without the query that `Location` has:
    ///
    /// ```js
    /// const events = new EventSource(`${job}/events`);
    /// events.addEventListener("progress", ({ data }) => show(JSON.parse(data).progress));
    /// events.addEventListener("end", async ({ data }) => {
    ///     events.close();
    ///     finish(await fetch(JSON.parse(data).location));
    /// });
    /// ```
    ///
    /// Events need HTTP/1.1 or HTTP/2. nginx must be told so by `proxy_http_version 1.1`; it does
    /// not buffer them, since they carry `X-Accel-Buffering: no`. `EventSource` gives up when it is
    /// refused, by a full node or a store that cannot be reached, and the page then polls.
    pub fn events(mut self, enabled: bool) -> Self {
        self.config.events = enabled;
        self
    }
}
