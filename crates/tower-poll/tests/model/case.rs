//! One call: the layer's settings, the submission, and what the server does.

use std::time::Duration;

use http::{
    HeaderName, HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, COOKIE},
};
use http_polling::{GRPC_TIMEOUT, IDEMPOTENCY_KEY};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};
use tokio::time::sleep;
use tower_poll::{
    PollLayer, StandardPolicy,
    dialect::{AzureResourceManager, StatusField, StatusResource},
    policy::Jitter,
};

use crate::{
    answers::{Answer, answer},
    dialect::Documents,
    server::{Origin, origin},
};

pub(crate) const BODY: &str = "the work";
pub(crate) const SECRET: HeaderName = HeaderName::from_static("x-secret");
/// Sensitive too, and not asked for.
pub(crate) const MARKED: HeaderName = HeaderName::from_static("x-marked");
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const KEPT: HeaderName = HeaderName::from_static("x-kept");

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) settings: Settings,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) grpc_timeout: Option<u32>,
    pub(crate) has_key: bool,
    pub(crate) stop: Option<Stop>,
    /// For the requests in turn, then again from the first.
    pub(crate) answers: Vec<Answer>,
    /// Of the random numbers that the client draws.
    pub(crate) seed: u64,
}

/// The time at which the caller gives up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub(crate) after: Duration,
    pub(crate) remotely: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) deadline: Duration,
    pub(crate) max_polls: u32,
    pub(crate) min_delay: Duration,
    pub(crate) max_delay: Duration,
    pub(crate) jitter: f64,
    pub(crate) allowed: Vec<&'static str>,
    pub(crate) base_origin: bool,
    pub(crate) cookies: bool,
    pub(crate) drain_limit: usize,
    pub(crate) attach_job: bool,
    pub(crate) poll_retries: u32,
    pub(crate) long_poll: Option<Duration>,
    pub(crate) not_found_grace: Duration,
    pub(crate) idempotency_keys: bool,
    /// The time that new credentials take, if there is a way to get them.
    pub(crate) refresh: Option<Duration>,
    pub(crate) dialect: Option<OwnDialect>,
    pub(crate) is_observed: bool,
    /// The number of repetitions of a submission, if [`Resubmit`] is there.
    pub(crate) resubmits: Option<u32>,
}

/// The dialects on the layer, which take precedence over those that are built in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OwnDialect {
    Documents,
    Resources,
    Status,
    Field,
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    case_of(vec(answer(), 1..12))
}

pub(crate) fn case_of(answers: impl Strategy<Value = Vec<Answer>>) -> impl Strategy<Value = Case> {
    let method = select(vec![
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ]);
    let uri = select(vec![
        "https://api.example.com/reports/new?year=2026",
        "https://api.example.com/reports/new?year=2026",
        "https://api.example.com/reports/new?year=2026",
        "http://api.example.com:8080/",
        "https://[::1]/a/b",
        "/package.Service/Method",
    ]);
    let grpc_timeout = prop_oneof![4 => Just(None), 1 => option::of(0..5_000_u32)];
    let stop = (0..10_000_u64, any::<bool>()).prop_map(|(millis, remotely)| Stop {
        after: Duration::from_millis(millis),
        remotely,
    });
    let stop = prop_oneof![3 => Just(None), 1 => stop.prop_map(Some)];
    let caller = (grpc_timeout, any::<bool>(), stop);
    (settings(), method, uri, caller, answers, any::<u64>()).prop_map(
        |(settings, method, uri, (grpc_timeout, has_key, stop), answers, seed)| Case {
            settings,
            method,
            uri: Uri::from_static(uri),
            grpc_timeout,
            has_key,
            stop,
            answers,
            seed,
        },
    )
}

fn settings() -> impl Strategy<Value = Settings> {
    let millis = |values: &[u64]| select(values.to_vec()).prop_map(Duration::from_millis);
    let deadline = prop_oneof![
        1 => (0..500_u64).prop_map(Duration::from_millis),
        4 => (0..7_200_u64).prop_map(Duration::from_secs),
        1 => Just(Duration::MAX),
    ];
    let allowed = vec![
        "https://jobs.example.com",
        "https://api.example.com:8443",
        "http://api.example.com",
        "http://jobs.example.com:8080",
    ];
    (
        deadline,
        0..40_u32,
        millis(&[0, 1, 20, 100, 1_000, 10_000]),
        millis(&[0, 50, 1_000, 60_000, 3_600_000]),
        select(vec![0.0, 0.2, 10.0]),
        prop_oneof![Just(allowed.clone()), subsequence(allowed, 0..=4)],
        any::<[bool; 5]>(),
        select(vec![0, 1, 100, 4 * 1024, 64 * 1024]),
        extras(),
    )
        .prop_map(
            |(
                deadline,
                max_polls,
                min_delay,
                max_delay,
                jitter,
                allowed,
                switches,
                drain_limit,
                extras,
            )| {
                let [
                    base_origin,
                    cookies,
                    attach_job,
                    idempotency_keys,
                    is_observed,
                ] = switches;
                let (poll_retries, long_poll, not_found_grace, refresh, dialect, resubmits) =
                    extras;
                Settings {
                    deadline,
                    max_polls,
                    min_delay,
                    max_delay,
                    jitter,
                    allowed,
                    base_origin,
                    cookies,
                    drain_limit,
                    attach_job,
                    poll_retries,
                    long_poll,
                    not_found_grace,
                    idempotency_keys,
                    refresh,
                    dialect,
                    is_observed,
                    resubmits,
                }
            },
        )
}

type Extras = (
    u32,
    Option<Duration>,
    Duration,
    Option<Duration>,
    Option<OwnDialect>,
    Option<u32>,
);

fn extras() -> impl Strategy<Value = Extras> {
    let seconds = |values: &[u64]| select(values.to_vec()).prop_map(Duration::from_secs);
    (
        0..4_u32,
        option::of(seconds(&[0, 1, 20])),
        seconds(&[0, 0, 1, 3_600]),
        option::of(seconds(&[0, 1, 1_000_000])),
        option::of(select(vec![
            OwnDialect::Documents,
            OwnDialect::Resources,
            OwnDialect::Status,
            OwnDialect::Field,
        ])),
        option::of(0..5_u32),
    )
}

impl Settings {
    fn layer(&self, submission: &Uri) -> PollLayer {
        let policy = StandardPolicy::new()
            .min_delay(self.min_delay)
            .max_delay(self.max_delay)
            .jitter(Jitter::up_to(self.jitter))
            .cross_origin(self.allowed.iter().copied().map(Uri::from_static));
        let mut layer = PollLayer::with_policy(policy)
            .deadline(self.deadline)
            .max_polls(self.max_polls)
            .cookies(self.cookies)
            .drain_limit(self.drain_limit)
            .attach_job(self.attach_job)
            .poll_retries(self.poll_retries)
            .not_found_grace(self.not_found_grace)
            .idempotency_keys(self.idempotency_keys)
            .keep_header(SECRET)
            .keep_header(KEPT)
            .keep_header(IDEMPOTENCY_KEY)
            .keep_header(CONTENT_TYPE);
        if self.base_origin {
            layer = layer.base_origin(Uri::from_static("https://api.example.com"));
        }
        if let Some(wait) = self.long_poll {
            layer = layer.long_poll(wait);
        }
        if let Some(delay) = self.refresh {
            let home = origin(submission);
            layer = layer.refresh(move |url| {
                assert_eq!(origin(url), home, "credentials are asked for elsewhere");
                async move {
                    sleep(delay).await;
                    Ok(HeaderValue::from_static("Bearer new secret"))
                }
            });
        }
        layer = match self.dialect {
            None => layer,
            Some(OwnDialect::Documents) => layer.dialect(Documents),
            Some(OwnDialect::Resources) => {
                layer.dialect(AzureResourceManager::new().poll_resources(true))
            }
            Some(OwnDialect::Status) => layer.dialect(StatusResource::new()),
            Some(OwnDialect::Field) => layer.dialect(StatusField::new("status")),
        };
        if self.is_observed {
            layer = layer.observe(|update| drop(format!("{update:?}")));
        }
        layer
    }
}

impl Case {
    pub(crate) fn request(&self) -> Request<&'static str> {
        let mut secret = HeaderValue::from_static("secret");
        secret.set_sensitive(true);
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.uri.clone())
            .header(AUTHORIZATION, "Bearer secret")
            .header(COOKIE, "own=secret; other=secret")
            .header(SECRET, secret.clone())
            .header(MARKED, secret)
            .header(API_KEY, "secret")
            .header(KEPT, "kept")
            .header(CONTENT_TYPE, "text/plain");
        if let Some(millis) = self.grpc_timeout {
            request = request.header(GRPC_TIMEOUT, format!("{millis}m"));
        }
        if self.has_key {
            request = request.header(IDEMPOTENCY_KEY, "key");
        }
        request.body(BODY).expect("a valid request")
    }

    pub(crate) fn layer(&self) -> PollLayer {
        self.settings.layer(&self.uri)
    }

    pub(crate) fn answer(&self, number: usize) -> &Answer {
        &self.answers[number % self.answers.len()]
    }

    /// Returns whether a submission may be repeated.
    pub(crate) fn sends_key(&self) -> bool {
        self.has_key || (self.settings.idempotency_keys && !self.method.is_safe())
    }

    /// The method of all polls.
    pub(crate) fn poll_method(&self) -> Method {
        match self.method {
            Method::HEAD => Method::HEAD,
            _ => Method::GET,
        }
    }

    /// The origins that may be asked.
    pub(crate) fn origins(&self) -> Vec<Option<Origin>> {
        let mut origins = vec![origin(&self.uri)];
        // Where requests are path-only, the layer beneath knows one origin only.
        if self.uri.authority().is_some() {
            let others = self.settings.allowed.iter().copied();
            origins.extend(others.map(|other| origin(&Uri::from_static(other))));
        }
        origins
    }

    /// Returns the time that the call may take.
    pub(crate) fn deadline(&self) -> Duration {
        let own = self
            .grpc_timeout
            .map(|own| Duration::from_millis(own.into()));
        own.map_or(self.settings.deadline, |own| {
            own.min(self.settings.deadline)
        })
    }
}
