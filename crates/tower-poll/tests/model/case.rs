//! One call: the layer's settings, the submission, and what the server does.

use std::time::Duration;

use http::{
    HeaderName, HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, COOKIE},
};
use http_polling::GRPC_TIMEOUT;
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};
use tower_poll::{PollLayer, StandardPolicy, policy::Jitter};

use crate::answers::{Answer, answer};

pub(crate) const BODY: &str = "the work";
pub(crate) const SECRET: HeaderName = HeaderName::from_static("x-secret");
const KEPT: HeaderName = HeaderName::from_static("x-kept");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) settings: Settings,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) grpc_timeout: Option<u32>,
    /// For the requests in turn, then again from the first.
    pub(crate) answers: Vec<Answer>,
    /// Of the random numbers that the client draws.
    pub(crate) seed: u64,
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
    (settings(), method, uri, grpc_timeout, answers, any::<u64>()).prop_map(
        |(settings, method, uri, grpc_timeout, answers, seed)| Case {
            settings,
            method,
            uri: Uri::from_static(uri),
            grpc_timeout,
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
        any::<[bool; 3]>(),
        select(vec![0, 1, 100, 4 * 1024, 64 * 1024]),
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
            )| {
                let [base_origin, cookies, attach_job] = switches;
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
                }
            },
        )
}

impl Settings {
    pub(crate) fn layer(&self) -> PollLayer {
        let policy = StandardPolicy::new()
            .min_delay(self.min_delay)
            .max_delay(self.max_delay)
            .jitter(Jitter::up_to(self.jitter))
            .cross_origin(self.allowed.iter().copied().map(Uri::from_static));
        let layer = PollLayer::with_policy(policy)
            .deadline(self.deadline)
            .max_polls(self.max_polls)
            .cookies(self.cookies)
            .drain_limit(self.drain_limit)
            .attach_job(self.attach_job)
            .keep_header(SECRET)
            .keep_header(KEPT)
            .keep_header(IDEMPOTENCY_KEY)
            .keep_header(CONTENT_TYPE);
        if self.base_origin {
            layer.base_origin(Uri::from_static("https://api.example.com"))
        } else {
            layer
        }
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
            .header(SECRET, secret)
            .header(KEPT, "kept")
            .header(IDEMPOTENCY_KEY, "key")
            .header(CONTENT_TYPE, "text/plain");
        if let Some(millis) = self.grpc_timeout {
            request = request.header(GRPC_TIMEOUT, format!("{millis}m"));
        }
        request.body(BODY).expect("a valid request")
    }

    pub(crate) fn answer(&self, number: usize) -> &Answer {
        &self.answers[number % self.answers.len()]
    }

    /// How long the call may take.
    pub(crate) fn deadline(&self) -> Duration {
        let own = self
            .grpc_timeout
            .map(|own| Duration::from_millis(own.into()));
        own.map_or(self.settings.deadline, |own| {
            own.min(self.settings.deadline)
        })
    }
}
