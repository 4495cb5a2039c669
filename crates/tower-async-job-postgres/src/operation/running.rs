//! Runs that begin, and report.

use bytes::Bytes;
use tokio_postgres::types::Type;
use tower_async_job_core::{JobId, Json, Lease, Report, StoreError};

use super::{held, in_order};
use crate::{
    batch::Operation,
    database::{Database, Retry},
    job::{Id, ids, narrow},
};

/// The begin of a first run.
#[derive(Debug)]
pub(crate) struct Start(pub(crate) Lease);

impl Operation for Start {
    type Answer = ();

    fn id(&self) -> JobId {
        self.0.id
    }

    fn bytes(&self) -> usize {
        0
    }

    async fn perform(
        batch: &[Self],
        database: &Database,
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let jobs = ids(batch.iter().map(|start| start.0.id));
        let epochs: Vec<_> = batch.iter().map(|start| narrow(start.0.epoch)).collect();
        let parameters = [
            (&jobs as _, Type::UUID_ARRAY),
            (&epochs as _, Type::INT8_ARRAY),
        ];
        let rows = database
            .call("start_jobs", &parameters, Retry::Always)
            .await?;
        in_order(batch.iter().map(|_| ()), &rows, held)
    }
}

/// A report that is sent to the database.
#[derive(Debug)]
pub(crate) struct Send {
    pub(crate) lease: Lease,
    pub(crate) report: StoredReport,
}

/// A report in the form in which it is stored.
#[derive(Debug, Default)]
pub(crate) struct StoredReport {
    pub(super) progress: Option<Bytes>,
    pub(super) partial: Option<Bytes>,
    pub(super) metadata: Option<Bytes>,
    pub(super) checkpoint: Option<Bytes>,
}

impl StoredReport {
    pub(crate) fn of(report: Report) -> Result<Self, StoreError> {
        let progress = report
            .progress
            .map(|progress| serde_json::to_vec(&progress));
        let json = |json: Json| json.as_bytes().clone();
        Ok(Self {
            progress: progress
                .transpose()
                .map_err(StoreError::corrupt)?
                .map(Bytes::from),
            partial: report.partial.map(json),
            metadata: report.metadata.map(json),
            checkpoint: report.checkpoint,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.fields().into_iter().flatten().map(<[u8]>::len).sum()
    }

    /// Returns progress, partial result, metadata and checkpoint.
    pub(crate) fn fields(&self) -> [Option<&[u8]>; 4] {
        [
            &self.progress,
            &self.partial,
            &self.metadata,
            &self.checkpoint,
        ]
        .map(|field| field.as_deref())
    }
}

impl Operation for Send {
    type Answer = ();

    fn id(&self) -> JobId {
        self.lease.id
    }

    fn bytes(&self) -> usize {
        self.report.len()
    }

    async fn perform(
        batch: &[Self],
        database: &Database,
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let jobs = ids(batch.iter().map(|send| send.lease.id));
        let epochs: Vec<_> = batch.iter().map(|send| narrow(send.lease.epoch)).collect();
        let field = |place: usize| -> Vec<_> {
            let fields = batch.iter().map(|send| send.report.fields());
            fields.map(|fields| fields[place]).collect()
        };
        let fields = [0, 1, 2, 3].map(field);
        let parameters = [
            (&jobs as _, Type::UUID_ARRAY),
            (&epochs as _, Type::INT8_ARRAY),
            (&fields[0] as _, Type::BYTEA_ARRAY),
            (&fields[1] as _, Type::BYTEA_ARRAY),
            (&fields[2] as _, Type::BYTEA_ARRAY),
            (&fields[3] as _, Type::BYTEA_ARRAY),
        ];
        let rows = database
            .call("report_jobs", &parameters, Retry::Always)
            .await?;
        in_order(batch.iter().map(|_| ()), &rows, held)
    }
}

/// Writes a chunk of a result.
pub(crate) async fn write_chunk(
    database: &Database,
    lease: &Lease,
    index: u32,
    data: Bytes,
) -> Result<(), StoreError> {
    let number = i32::try_from(index)
        .map_err(|_| StoreError::unavailable("a result has too many chunks"))?;
    let parameters = [
        (&Id(lease.id) as _, Type::UUID),
        (&narrow(lease.epoch) as _, Type::INT8),
        (&number as _, Type::INT4),
        (&&data[..] as _, Type::BYTEA),
    ];
    let row = database.call_one("write_chunk", &parameters, Retry::Always);
    held(&row.await?)
}
