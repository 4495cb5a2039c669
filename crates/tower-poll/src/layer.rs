//! The layer and its settings.

use std::{future::Future, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Uri};
use http_polling::RequestHead;
use tower::{BoxError, Layer};

use crate::{
    budget::RetryBudget,
    config::{Config, Shared},
    dialect::Dialect,
    policy::standard::StandardPolicy,
    progress::PollUpdate,
    request::may_be_kept,
    service::PollService,
};

/// Makes a client follow pending answers until the final one is there.
///
/// See the [crate docs](crate) for the answers that count as pending, and for
/// the place of the layer in a stack.
///
/// A poll carries these headers of the submission, and no others: `accept`,
/// `accept-encoding`, `accept-language`, `user-agent`, `te`, `traceparent`,
/// `tracestate`, `baggage`, the credentials below, and those that were
/// [added](Self::keep_header).
///
/// Credentials go to the origin of the submission only. Once a poll has left
/// it, they are dropped for the rest of the call. They are `authorization`,
/// `cookie`, `host`; the usual names of API keys: `x-api-key`, `api-key`,
/// `x-auth-token`, `x-functions-key`, `ocp-apim-subscription-key`,
/// `x-goog-api-key`; and every value that is [marked
/// sensitive](http::HeaderValue::set_sensitive) under any name, except names
/// that concern a single message (`content-*`, `idempotency-key`, `prefer`,
/// `if-*`, `range`, `digest`, `signature*`, `x-amz-*` and the like).
///
/// ```
/// use std::time::Duration;
/// use tower::ServiceBuilder;
/// use tower_poll::PollLayer;
/// # use http::{Request, Response};
/// # let client = tower::service_fn(async |_: Request<String>| {
/// #     Ok::<_, tower::BoxError>(Response::new(String::new()))
/// # });
///
/// let service = ServiceBuilder::new()
///     .layer(PollLayer::new().deadline(Duration::from_secs(300)))
///     .service(client);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PollLayer<P = StandardPolicy> {
    config: Config,
    policy: P,
}

impl PollLayer {
    /// Creates a layer with the [`StandardPolicy`] and the defaults named at
    /// each method.
    pub fn new() -> Self {
        Self::with_policy(StandardPolicy::new())
    }
}

impl Default for PollLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> PollLayer<P> {
    /// Creates a layer with another policy and the defaults named at each
    /// method.
    pub fn with_policy(policy: P) -> Self {
        Self {
            config: Config::default(),
            policy,
        }
    }

    /// Replaces the policy.
    pub fn policy<P2>(self, policy: P2) -> PollLayer<P2> {
        PollLayer {
            config: self.config,
            policy,
        }
    }

    /// Sets the time limit of a call, from the sending of the submission. One
    /// hour by default.
    ///
    /// It ends polling: a wait beyond it fails at once, and a poll in flight
    /// is dropped. The submission itself is not timed; put a timeout around
    /// the whole stack for that. A shorter `grpc-timeout` of the request takes
    /// precedence.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.config.deadline = deadline;
        self
    }

    /// Sets the most polls of a call. 1,000 by default.
    pub fn max_polls(mut self, max_polls: u32) -> Self {
        self.config.max_polls = max_polls;
        self
    }

    /// Sets the most bytes that are read of a pending answer's body, so that
    /// its connection can be used again. 64 KiB by default. A longer body is
    /// dropped, and an HTTP/1 connection with it.
    ///
    /// It also limits the documents that a [`Dialect`] reads, where a longer
    /// one is an error, and those for [observers](Self::observe), where a
    /// longer one is left out.
    pub fn drain_limit(mut self, drain_limit: usize) -> Self {
        self.config.drain_limit = drain_limit;
        self
    }

    /// Sends cookies of pending answers with later polls of the same call to
    /// the same origin (RFC 6265), as sticky load balancers need it. On by
    /// default.
    ///
    /// At most 32 cookies and 16 KiB are kept, until the end of the call.
    pub fn cookies(mut self, cookies: bool) -> Self {
        self.config.cookies = cookies;
        self
    }

    /// Puts a [`PendingJob`](crate::PendingJob) into the extensions of the
    /// response of a call with at least one poll: the URL at which the result
    /// can be fetched again if its body breaks off. Off by default, since it
    /// allocates.
    pub fn attach_job(mut self, attach_job: bool) -> Self {
        self.config.attach_job = attach_job;
        self
    }

    /// Adds a header to those that polls carry.
    ///
    /// It goes to every origin that the policy allows. A secret is better
    /// marked sensitive ([`http::HeaderValue::set_sensitive`]): then it goes
    /// to the submission's origin only, without being added here.
    ///
    /// Headers that describe the submission's body, connection or preferences
    /// (`content-*`, `transfer-encoding`, `prefer`, `idempotency-key` and the
    /// like) are wrong on a poll and are ignored here.
    pub fn keep_header(mut self, name: HeaderName) -> Self {
        if may_be_kept(&name) && !self.config.keep.contains(&name) {
            self.config.keep.push(name);
        }
        self
    }

    /// Sends the calls for which `wanted` is true with `Prefer: respond-async`
    /// (RFC 7240, section 4.1). None by default.
    /// [`PreferAsync`](crate::PreferAsync) does so for a single call.
    ///
    /// ```
    /// use tower_poll::PollLayer;
    ///
    /// let layer = PollLayer::new()
    ///     .prefer_async(|request| request.uri.path().starts_with("/report"));
    /// ```
    pub fn prefer_async(
        mut self,
        wanted: impl Fn(RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config.prefer_async = Some(Arc::new(wanted));
        self
    }

    /// Sends every call with `Prefer: wait=N` (RFC 7240, section 4.3), in
    /// whole seconds: the time after which the server may make a job of it.
    /// Not sent by default.
    pub fn prefer_wait(mut self, wait: Duration) -> Self {
        self.config.prefer_wait = Some(wait);
        self
    }

    /// Sends every poll with `Prefer: wait=N`, in whole seconds: the server
    /// may hold it until the job ends, so that the end is seen at once. Not
    /// sent by default.
    ///
    /// If the server answers with `Preference-Applied`, the next poll follows
    /// without its Retry-After, which has no use then. If an intermediary cuts
    /// a held poll (after a second or more, by 408, 502, 503, 504 or an
    /// error), it does not count as a failed one. Choose less than the timeout
    /// of proxies on the way, often 30 or 60 s.
    pub fn long_poll(mut self, wait: Duration) -> Self {
        self.config.long_poll = Some(wait);
        self
    }

    /// Sets the most failed polls in a row that are repeated. A poll fails by
    /// an error of the service beneath, or by 408, 429, 500, 502, 503 or 504
    /// without `Job-Status`. 5 by default; 0 repeats none.
    ///
    /// They are repeated after the answer's Retry-After, else with the
    /// policy's backoff, and count as polls. Over all calls of a service and
    /// its clones, no more than a fifth of the polls and ten a second are
    /// repeats ([`RetryBudget`](crate::RetryBudget)). After that, the error or
    /// the last answer is passed up, with the
    /// [`PendingJob`](crate::PendingJob) in it or its extensions. A 500, which
    /// may be the answer of work that failed, is repeated three times at most.
    ///
    /// An answer of 429 or 503 with Retry-After is pending, and does not
    /// count. The submission is not repeated by this: see
    /// [`Resubmit`](crate::Resubmit).
    pub fn poll_retries(mut self, poll_retries: u32) -> Self {
        self.config.poll_retries = poll_retries;
        self
    }

    /// Sets the time after a job was accepted in which a poll that is answered
    /// with 404 is repeated, with the policy's delays, since some servers know
    /// their own jobs only a moment later. 3 s by default; zero turns it off.
    ///
    /// It ends with the first poll that finds the job, and does not apply to
    /// servers that announce their jobs by `Job-Status`.
    pub fn not_found_grace(mut self, grace: Duration) -> Self {
        self.config.not_found_grace = grace;
        self
    }

    /// Adds a random `Idempotency-Key` (122 bits) to submissions of unsafe
    /// methods that have none (draft-ietf-httpapi-idempotency-key-header). Off
    /// by default.
    ///
    /// If the server supports keys, a submission can then be repeated without
    /// repeating the work: put [`Resubmit`](crate::Resubmit) beneath.
    pub fn idempotency_keys(mut self, idempotency_keys: bool) -> Self {
        self.config.idempotency_keys = idempotency_keys;
        self
    }

    /// Sets a source of new `Authorization` values for a URL, after a poll is
    /// answered with 401. Called once per call, and only while all polls went
    /// to the submission's origin. None by default.
    ///
    /// The poll is repeated with the value, and later polls carry it. If the
    /// answer is 401 again, the call ends with an error
    /// ([`is_unauthorized`](crate::Error::is_unauthorized)) that has the
    /// pending job, as it does at once without a source.
    ///
    /// ```
    /// use http::HeaderValue;
    /// use tower_poll::PollLayer;
    ///
    /// async fn new_token() -> Result<String, std::io::Error> {
    ///     Ok("0123".to_owned())
    /// }
    ///
    /// let layer = PollLayer::new().refresh(|_| async {
    ///     let value = format!("Bearer {}", new_token().await?);
    ///     Ok(HeaderValue::try_from(value)?)
    /// });
    /// ```
    pub fn refresh<F, R>(mut self, refresh: F) -> Self
    where
        F: Fn(&Uri) -> R + Send + Sync + 'static,
        R: Future<Output = Result<HeaderValue, BoxError>> + Send + 'static,
    {
        self.config.refresh = Some(Arc::new(move |url| Box::pin(refresh(url))));
        self
    }

    /// Notifies `observer` of every pending answer of every call, once its
    /// body has been read (up to the [limit](Self::drain_limit)) or the next
    /// poll is due. None by default. The call waits for the observer, which
    /// should be quick.
    ///
    /// A [`PollProgress`](crate::PollProgress) observes a single call.
    pub fn observe(mut self, observer: impl Fn(&PollUpdate) + Send + Sync + 'static) -> Self {
        self.config.observer = Some(Arc::new(observer));
        self
    }

    /// Adds a dialect. It takes precedence over the built-in ones and over
    /// those that are added later. None by default.
    ///
    /// Once there is one, it sees the head of every submission's answer, and
    /// takes precedence over `Job-Status`.
    pub fn dialect(mut self, dialect: impl Dialect + 'static) -> Self {
        self.config.dialects.push(Arc::new(dialect));
        self
    }

    /// Sets the origin of requests with a path-only URI. Scheme, host and port
    /// count.
    ///
    /// gRPC clients send such requests, and their channel fills in the rest.
    /// Since the channel would send a poll of an absolute `Location` to its
    /// own host, such a `Location` is an error unless it has this origin. None
    /// by default.
    pub fn base_origin(mut self, origin: Uri) -> Self {
        self.config.base_origin = Some(origin);
        self
    }

    pub(crate) fn into_shared(self) -> Shared<P> {
        Shared {
            adds_headers: self.config.adds_headers(),
            config: self.config,
            policy: self.policy,
            budget: RetryBudget::default(),
        }
    }
}

impl<S, P: Clone> Layer<S> for PollLayer<P> {
    type Service = PollService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        PollService::new(inner, Arc::new(self.clone().into_shared()))
    }
}
