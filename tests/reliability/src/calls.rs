//! The calls that clients make.

use bytes::Bytes;
use fastrand::Rng;
use http::{
    HeaderName, Request,
    header::{CONTENT_TYPE, HeaderValue},
};
use http_body_util::Full;
use http_polling::IDEMPOTENCY_KEY;
use serde::{Deserialize, Serialize};

/// The header with the number of a call. It is kept for later runs.
pub(crate) const NUMBER: HeaderName = HeaderName::from_static("x-number");

/// The header of a call whose job's end is to be notified of.
pub(crate) const CALLBACK: HeaderName = HeaderName::from_static("x-callback");

/// The header with the nonce of the run whose answer it is.
pub(crate) const NONCE: HeaderName = HeaderName::from_static("x-nonce");

/// The maximum of attempts at a job that does not kill its process. Random kills rarely use it up.
pub(crate) const MOST_ATTEMPTS: u32 = 6;

/// The maximum of attempts at a job that kills its process.
pub(crate) const MOST_POISONED: u32 = 3;

/// The kind of a call's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Takes some time.
    Run,
    /// Takes some time, and answers with a body of several chunks, slowly.
    Large,
    /// Takes some time, and is not replayable.
    Local,
    /// A report of the example.
    Report,
    /// Kills its process.
    Poison,
}

impl Work {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Run => "/run",
            Self::Large => "/large",
            Self::Local => "/local",
            Self::Report => "/reports/2026",
            Self::Poison => "/poison",
        }
    }

    pub(crate) fn is_replayable(self) -> bool {
        self != Self::Local
    }

    pub(crate) fn most_attempts(self) -> u32 {
        match self {
            Self::Poison => MOST_POISONED,
            _ => MOST_ATTEMPTS,
        }
    }
}

/// The body of a request, except for that of a report.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) millis: u64,
    /// The bytes of the answer.
    pub(crate) size: usize,
}

/// A call of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The number, which no other call of the round has.
    pub(crate) number: u64,
    pub(crate) work: Work,
    pub(crate) task: Task,
    /// It carries an idempotency key, and is repeated if its answer is lost.
    pub(crate) is_keyed: bool,
    /// It asks to become a job at once.
    pub(crate) is_async: bool,
    /// It asks for a notification of the end.
    pub(crate) has_callback: bool,
    /// The bytes that its request has beside its task.
    pub(crate) padding: usize,
}

impl Call {
    /// Creates a call for this work, the rest of it by chance.
    pub(crate) fn random(number: u64, work: Work, rng: &mut Rng) -> Self {
        let size = match work {
            Work::Large => rng.usize(300_000..1_500_000),
            _ => rng.usize(16..4000),
        };
        Self {
            number,
            work,
            task: Task {
                millis: rng.u64(0..1500),
                size: size / 16 * 16,
            },
            is_keyed: rng.bool(),
            is_async: rng.bool(),
            // Plans stay those of their seeds.
            has_callback: number % 2 == 1,
            padding: 0,
        }
    }

    /// Returns some work for a call in the background.
    pub(crate) fn any_work(rng: &mut Rng) -> Work {
        match rng.u32(0..20) {
            0..13 => Work::Run,
            13..15 => Work::Large,
            15..18 => Work::Local,
            _ => Work::Report,
        }
    }

    /// Returns the request, for a round of this seed.
    pub(crate) fn request(&self, seed: u64) -> Request<Full<Bytes>> {
        let mut body = match self.work {
            Work::Report => format!(r#"{{"pages": {}}}"#, self.task.millis / 100),
            _ => serde_json::to_string(&self.task).expect("numbers"),
        };
        body.push_str(&" ".repeat(self.padding));
        let mut request = Request::post(format!("http://cluster{}", self.work.path()))
            .header(CONTENT_TYPE, "application/json")
            .header(NUMBER, self.number);
        if let Some(key) = self.key(seed) {
            let key = HeaderValue::try_from(key).expect("digits");
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if self.is_async {
            request = request.header("prefer", "respond-async");
        }
        if self.has_callback {
            request = request.header(CALLBACK, self.number);
        }
        request.body(Full::from(body)).expect("a valid request")
    }

    /// Returns the idempotency key, in a round of this seed.
    pub(crate) fn key(&self, seed: u64) -> Option<String> {
        self.is_keyed.then(|| format!("\"{seed}-{}\"", self.number))
    }

    /// Returns whether the body is whole, as an answer of the run with this nonce.
    pub(crate) fn is_whole(&self, nonce: &str, body: &[u8]) -> bool {
        if self.work == Work::Report {
            return serde_json::from_slice::<serde_json::Value>(body).is_ok();
        }
        body.len() == self.task.size && body.chunks(16).all(|part| part == nonce.as_bytes())
    }
}
