//! The layer and its settings.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, Uri};
use http_polling::RequestHead;
use tower::Layer;

use crate::{
    PollService, StandardPolicy,
    config::{Config, Shared},
};

/// Makes a client follow pending answers until the final one is there.
///
/// See the [crate docs](crate) for what counts as pending, and for where the
/// layer belongs in a stack.
///
/// A poll carries these headers of the submission, and no others: `accept`,
/// `accept-encoding`, `accept-language`, `user-agent`, `te`, `traceparent`,
/// `tracestate`, `baggage`, and those that were
/// [asked for](Self::keep_header). `authorization`, `cookie`, `host` and
/// every value that is marked sensitive go to the origin of the submission
/// only; once a poll went elsewhere they are gone for the rest of the call.
///
/// ```
/// use std::time::Duration;
/// use tower::ServiceBuilder;
/// use tower_poll::PollLayer;
/// # use http::{Request, Response};
/// # use http_body_util::Empty;
/// # use bytes::Bytes;
/// # let client = tower::service_fn(|_: Request<Empty<Bytes>>| async {
/// #     Ok::<_, std::convert::Infallible>(Response::new(Empty::<Bytes>::new()))
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
    /// With the [`StandardPolicy`] and the defaults named at each method.
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
    /// With a policy of one's own and the defaults named at each method.
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

    /// How long a call may take in all, counted from when the submission is
    /// sent. One hour by default.
    ///
    /// It ends polling: a wait that would go past it fails at once, and a
    /// poll in flight is dropped when it passes. The submission itself is not
    /// timed; put a timeout around the whole stack for that. A shorter
    /// `grpc-timeout` of the request goes before it.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.config.deadline = deadline;
        self
    }

    /// How many polls a call may send. 1,000 by default.
    pub fn max_polls(mut self, max_polls: u32) -> Self {
        self.config.max_polls = max_polls;
        self
    }

    /// How much of a pending answer's body is read, in bytes, so that its
    /// connection can be used again. 64 KiB by default. A longer body is
    /// dropped, and an HTTP/1 connection with it.
    pub fn drain_limit(mut self, drain_limit: usize) -> Self {
        self.config.drain_limit = drain_limit;
        self
    }

    /// Whether cookies that pending answers set are sent back with the later
    /// polls of the same call to the same origin (RFC 6265), as load
    /// balancers that tie a client to a node need it. On by default.
    ///
    /// At most 32 cookies and 16 KiB are remembered. They end with the call.
    pub fn cookies(mut self, cookies: bool) -> Self {
        self.config.cookies = cookies;
        self
    }

    /// Whether the response that ended a call with at least one poll carries
    /// a [`PendingJob`](crate::PendingJob) in its extensions: the URL at
    /// which the result can be fetched again if its body breaks off. Off by
    /// default, since it allocates.
    pub fn attach_job(mut self, attach_job: bool) -> Self {
        self.config.attach_job = attach_job;
        self
    }

    /// Adds a header to those that polls carry on.
    ///
    /// It goes to every origin that the policy allows. If it is a secret,
    /// mark its value sensitive ([`http::HeaderValue::set_sensitive`]) to
    /// have it stay on the submission's.
    ///
    /// Headers that describe the submission's body, connection or
    /// preferences (`content-*`, `transfer-encoding`, `prefer`,
    /// `idempotency-key` and the like) have no place on a poll and are
    /// ignored here.
    pub fn keep_header(mut self, name: HeaderName) -> Self {
        self.config.keep(name);
        self
    }

    /// Sends the calls for which `wanted` says yes with
    /// `Prefer: respond-async` (RFC 7240, section 4.1). None by default. A
    /// single call can be picked by [`PreferAsync`](crate::PreferAsync) too.
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

    /// Where requests with a path-only URI go. Scheme, host and port count.
    ///
    /// gRPC clients send such requests, and their channel fills in the rest.
    /// An absolute `Location` is then an error, since the channel would send
    /// the poll to its own host, unless its origin is this one. None by
    /// default.
    pub fn base_origin(mut self, origin: Uri) -> Self {
        self.config.base_origin = Some(origin);
        self
    }
}

impl<S, P: Clone> Layer<S> for PollLayer<P> {
    type Service = PollService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        let shared = Shared {
            config: self.config.clone(),
            policy: self.policy.clone(),
        };
        PollService::new(inner, Arc::new(shared))
    }
}
