//! The notification of jobs' ends.

use bytes::Bytes;
use http_polling::RequestHead;

use super::Builder;

impl Builder {
    /// Selects the requests whose clients are notified of the end of their job, in addition to its
    /// URL. Default: none.
    ///
    /// The function returns what the notification needs, such as its address, as bytes. They are
    /// stored in the same step as the job, and every end of it, on whatever node, makes the
    /// notification due in the same step: `done`, `failed`, `timed-out`, `cancelled` or `lost`. A
    /// [notifier](crate::AsyncJobLayer::notifier) then sends it at least once, unless all attempts
    /// fail until the [retention](Self::retention) is over; run one wherever jobs may end. The
    /// answer that announces the job has `Preference-Applied: callback`, which is the name of this
    /// preference in OData 4.01 (section 8.2.8).
    ///
    /// An error refuses the request before its handler is called: 400 with a problem document whose
    /// detail is this text.
    ///
    /// A request that is answered inline makes no job, and no notification. With an idempotency key
    /// or on a [front](crate::Role::Front), it is a job nevertheless; its notification is then left
    /// out by the notifier of the node that has answered, and only by that.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder()
    ///     .notify_when(|request| match request.headers.get("callback-url") {
    ///         None => Ok(None),
    ///         Some(url) if url.as_bytes().starts_with(b"https://hooks.example/") => {
    ///             Ok(Some(Bytes::copy_from_slice(url.as_bytes())))
    ///         }
    ///         Some(_) => Err("the callback URL must begin with https://hooks.example/".into()),
    ///     })
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn notify_when(
        mut self,
        find: impl Fn(RequestHead<'_>) -> Result<Option<Bytes>, String> + Send + Sync + 'static,
    ) -> Self {
        self.config.notification = Some(Box::new(find));
        self
    }
}
