//! The parts of jobs that are sealed.

use std::time::Duration;

use bytes::Bytes;
use http_polling::{Problem, ProblemType};

use crate::{
    claim::{Claim, Task},
    codec::corrupt,
    end::{End, Outcome, Report},
    error::StoreError,
    id::JobId,
    job::NewJob,
    json::Json,
    lease::{Lease, Release},
    message::{CLEAR, StoredRequest, StoredResponse},
    properties::StoreProperties,
    record::{Created, JobRecord, RecordedOutcome},
    seal::{self, Seal, SealContext, SealedPart},
    store::JobStore,
};

/// A store, and the seal of the data in it.
#[derive(Debug)]
pub(super) struct Sealing<S> {
    pub(super) inner: S,
    seal: Box<dyn Seal>,
    pub(super) properties: StoreProperties,
}

/// The time for which a job is released if this node does not have its key.
const OTHERS_TURN: Duration = Duration::from_secs(60);

/// The number of readable bytes of a request: its format.
const FORMAT: usize = 1;

impl<S: JobStore> Sealing<S> {
    pub(super) fn new(store: S, seal: impl Seal) -> Self {
        let mut properties = store.properties().clone();
        if let Some(chunk) = &mut properties.chunk {
            *chunk = chunk.saturating_sub(seal.overhead()).max(1);
        }
        Self {
            inner: store,
            seal: Box::new(seal),
            properties,
        }
    }

    pub(super) fn seal(
        &self,
        id: JobId,
        part: SealedPart,
        plain: &Bytes,
        clear: usize,
    ) -> Result<Bytes, StoreError> {
        seal::seal(&*self.seal, SealContext::new(id, part), plain, clear)
    }

    pub(super) fn open(
        &self,
        id: JobId,
        part: SealedPart,
        stored: &Bytes,
        clear: usize,
    ) -> Result<Bytes, StoreError> {
        seal::open(&*self.seal, SealContext::new(id, part), stored, clear)
    }

    pub(super) fn seal_job(&self, job: &mut NewJob) -> Result<(), StoreError> {
        if let Some(request) = &mut job.request {
            let sealed = self.seal(job.id, SealedPart::Request, request.as_bytes(), FORMAT)?;
            *request = StoredRequest::from_bytes(sealed);
        }
        if let Some(notify) = &mut job.notify {
            *notify = self.seal(job.id, SealedPart::Notify, notify, 0)?;
        }
        Ok(())
    }

    pub(super) fn seal_report(&self, id: JobId, report: &mut Report) -> Result<(), StoreError> {
        let parts = [
            (&mut report.partial, SealedPart::Partial),
            (&mut report.metadata, SealedPart::Metadata),
        ];
        for (json, part) in parts {
            if let Some(json) = json {
                *json = Json::from_bytes(self.seal(id, part, json.as_bytes(), 0)?);
            }
        }
        if let Some(checkpoint) = &mut report.checkpoint {
            *checkpoint = self.seal(id, SealedPart::Checkpoint, checkpoint, 0)?;
        }
        Ok(())
    }

    pub(super) fn seal_end(&self, lease: &Lease, end: &mut End) -> Result<(), StoreError> {
        let response = match &mut end.outcome {
            Outcome::Done(response) => Some((response, SealedPart::Response)),
            Outcome::Streamed { head, chunks, len } => {
                let (epoch, chunks, len) = (lease.epoch, *chunks, *len);
                Some((head, SealedPart::Head { epoch, chunks, len }))
            }
            _ => None,
        };
        if let Some((response, part)) = response {
            let sealed = self.seal(lease.id, part, response.as_bytes(), CLEAR)?;
            *response = StoredResponse::from_bytes(sealed);
        }
        match &mut end.report {
            Some(report) => self.seal_report(lease.id, report),
            None => Ok(()),
        }
    }

    pub(super) fn open_record(&self, mut record: JobRecord) -> Result<JobRecord, StoreError> {
        let parts = [
            (&mut record.partial, SealedPart::Partial),
            (&mut record.metadata, SealedPart::Metadata),
        ];
        for (json, part) in parts {
            if let Some(json) = json {
                *json = Json::from_bytes(self.open(record.id, part, json.as_bytes(), 0)?);
            }
        }
        let response = match &mut record.outcome {
            Some(RecordedOutcome::Response(response)) => Some((response, SealedPart::Response)),
            Some(RecordedOutcome::Head(head)) => {
                let result = record
                    .result
                    .ok_or_else(|| corrupt("its body is missing"))?;
                let (epoch, len) = (result.lease.epoch, result.len);
                let chunks = result.chunks.unwrap_or_default();
                Some((head, SealedPart::Head { epoch, chunks, len }))
            }
            _ => None,
        };
        if let Some((response, part)) = response {
            let plain = self.open(record.id, part, response.as_bytes(), CLEAR)?;
            *response = StoredResponse::from_bytes(plain);
        }
        Ok(record)
    }

    pub(super) fn open_created(&self, created: Created) -> Result<Created, StoreError> {
        Ok(match created {
            Created::Existing(record) => Created::Existing(Box::new(self.open_record(*record)?)),
            created => created,
        })
    }

    pub(super) fn open_claim(&self, claim: &mut Claim) -> Result<(), StoreError> {
        let id = claim.lease.id;
        match &mut claim.task {
            Task::Run(request) => {
                let plain = self.open(id, SealedPart::Request, request.as_bytes(), FORMAT)?;
                *request = StoredRequest::from_bytes(plain);
            }
            Task::Notify { notify, .. } => {
                *notify = self.open(id, SealedPart::Notify, notify, 0)?;
            }
            Task::Record => {}
        }
        if let Some(notify) = &mut claim.notify {
            *notify = self.open(id, SealedPart::Notify, notify, 0)?;
        }
        if !claim.checkpoint.is_empty() {
            claim.checkpoint = self.open(id, SealedPart::Checkpoint, &claim.checkpoint, 0)?;
        }
        Ok(())
    }

    /// Releases or ends a claim that cannot be opened; returns whether the job has ended.
    pub(super) async fn give_up(
        &self,
        claim: &Claim,
        error: &StoreError,
    ) -> Result<bool, StoreError> {
        let lease = &claim.lease;
        let for_good = error.is_corrupt();
        if let Task::Notify { .. } = claim.task {
            let again = (!for_good).then_some(OTHERS_TURN);
            self.inner.notified(lease, again).await?;
        } else if for_good {
            let problem = Problem::new(ProblemType::JobFailed);
            let problem = problem.with_detail("the stored request cannot be read");
            self.inner
                .finish(lease, Outcome::Failed(problem).into())
                .await?;
        } else {
            let others = Release::default()
                .with_counts(false)
                .with_after(OTHERS_TURN);
            self.inner.release(&[*lease], others).await?;
        }
        Ok(for_good)
    }
}
