//! The jobs of a load. All of a job follows from its number and the seed.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderMap, StatusCode};
use http_polling::Progress;
use tower_async_job_core::{
    IdempotencyKey, JobId, NewJob, Outcome, Principal, ReplayedRequest, Report, Retention, Start,
    StoredRequest, StoredResponse,
};

/// The size of a chunk of a result, in bytes.
pub(crate) const CHUNK: usize = 16 << 10;

/// Ten years, so that nothing is over by itself before a log is checked, which may be repeated
/// later.
pub(crate) const LONG: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The course of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// It ends with a result.
    Ends,
    /// It ends with a result in chunks.
    EndsInChunks,
    /// It is offered, claimed, sometimes released and claimed again, and ends with a result.
    Offered,
    /// It is cancelled.
    Cancelled,
    /// It ends, and is removed.
    Removed,
    /// It ends, and its result is kept for a moment.
    Brief,
    /// It runs on, with a report.
    Pending,
}

/// The jobs of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jobs {
    pub(crate) seed: u64,
}

/// A job of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    seed: u64,
    pub(crate) number: u32,
}

impl Jobs {
    pub(crate) fn job(self, number: u32) -> Job {
        Job {
            seed: self.seed,
            number,
        }
    }

    /// Returns the job with this id, if one of any number has it.
    pub(crate) fn find(self, id: &JobId) -> Option<Job> {
        let job = self.job(u32::try_from(id.to_bits() >> 64).ok()?);
        (job.id() == *id).then_some(job)
    }
}

impl Job {
    fn random(self, of: u64) -> Rng {
        let mut seeds = Rng::with_seed(self.seed ^ u64::from(self.number) << 32);
        Rng::with_seed(seeds.u64(..) ^ of)
    }

    pub(crate) fn course(self) -> Course {
        match self.number % 8 {
            0 | 1 => Course::Ends,
            2 => Course::EndsInChunks,
            3 => Course::Offered,
            4 => Course::Cancelled,
            5 => Course::Removed,
            6 => Course::Brief,
            _ => Course::Pending,
        }
    }

    pub(crate) fn id(self) -> JobId {
        JobId::from_bits(u128::from(self.number) << 64 | u128::from(self.random(1).u64(..)))
    }

    pub(crate) fn principal(self) -> Principal {
        Principal::new(format!("tenant {}", self.number % 5))
    }

    /// Returns the idempotency key, which two of three jobs have.
    pub(crate) fn key(self) -> Option<IdempotencyKey> {
        if self.course() == Course::Brief || self.number.is_multiple_of(3) {
            return None;
        }
        let fingerprint = [self.number as u8; 32];
        IdempotencyKey::new(format!("key {}", self.number), fingerprint).ok()
    }

    pub(crate) fn request(self) -> StoredRequest {
        let mut request = ReplayedRequest::default();
        request.body = self.data(2, 6000);
        StoredRequest::encode(&request)
    }

    pub(crate) fn report(self) -> Report {
        Report::default()
            .with_progress(Progress::of(1, 2))
            .with_partial(serde_json::json!(self.number))
    }

    /// Returns the job as it is submitted.
    pub(crate) fn submission(self) -> NewJob {
        let mut job = NewJob::new(self.id())
            .with_principal(self.principal())
            .with_route("/load")
            .with_deadline(LONG)
            .with_retention(Retention::new(LONG, LONG));
        if self.course() == Course::Offered {
            job = job.with_start(Start::Offered).with_max_attempts(9);
        }
        if self.course() == Course::Brief {
            let moment = Duration::from_millis(50);
            job = job.with_retention(Retention::new(moment, moment));
        }
        if self.course() == Course::Offered || self.number.is_multiple_of(2) {
            job = job.with_request(self.request());
        }
        match self.key() {
            Some(key) => job.with_idempotency(key),
            None => job,
        }
    }

    /// Returns the chunks of the result; none if it is in one piece.
    pub(crate) fn chunks(self) -> Vec<Bytes> {
        if self.course() != Course::EndsInChunks {
            return Vec::new();
        }
        let length = CHUNK * 2 + self.random(3).usize(1..=CHUNK * 8);
        let body = self.exact(4, length);
        let chunks = body.chunks(CHUNK);
        chunks.map(Bytes::copy_from_slice).collect()
    }

    /// Returns the result; that of chunks without them.
    pub(crate) fn response(self) -> StoredResponse {
        let body = match self.course() {
            Course::EndsInChunks => Bytes::new(),
            _ => self.data(5, 20_000),
        };
        let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), body.len());
        // It has room for the whole body.
        let _ = recorder.push(&body);
        recorder.finish(None)
    }

    pub(crate) fn outcome(self) -> Outcome {
        let (head, chunks) = (self.response(), self.chunks());
        if chunks.is_empty() {
            return Outcome::Done(head);
        }
        Outcome::Streamed {
            head,
            chunks: chunks.len() as u32,
            len: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
        }
    }

    fn data(self, of: u64, at_most: usize) -> Bytes {
        let length = self.random(of).usize(..=at_most);
        self.exact(of, length)
    }

    fn exact(self, of: u64, length: usize) -> Bytes {
        let mut data = vec![0; length];
        self.random(of).fill(&mut data);
        data.into()
    }
}
