//! Reads.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::types::Type;
use tower_async_job_core::{
    Created, Detail, IdempotencyKey, JobHandle, JobId, Principal, ResultRef, StoreError,
};

use crate::{
    database::{Database, column},
    job::{Found, Id, handle_number, ids, narrow, record_of, refused},
};

/// The maximum number of jobs that one statement reads.
const READ_AT_ONCE: usize = 256;

/// Reads jobs by one statement.
pub(crate) async fn read(
    database: &Database,
    wanted: Vec<(JobId, Detail)>,
) -> Result<HashMap<(JobId, Detail), Found>, StoreError> {
    let mut found = HashMap::with_capacity(wanted.len());
    for part in wanted.chunks(READ_AT_ONCE) {
        let jobs = ids(part.iter().map(|(id, _)| *id));
        let with_result = part.iter().map(|(_, detail)| *detail != Detail::Status);
        let with_result: Vec<_> = with_result.collect();
        let parameters = [
            (&jobs as _, Type::UUID_ARRAY),
            (&with_result as _, Type::BOOL_ARRAY),
        ];
        for row in database.read("read_jobs", &parameters).await? {
            let place: i32 = column(&row, "place")?;
            if let Some(wanted) = part.get(place.unsigned_abs() as usize) {
                found.insert(*wanted, record_of(&row, wanted.1));
            }
        }
    }
    Ok(found)
}

/// Looks for the job of a key.
pub(crate) async fn look_up(
    database: &Database,
    principal: Option<&Principal>,
    key: &IdempotencyKey,
) -> Result<Option<Created>, StoreError> {
    let digest = key.digest(principal);
    let (digest, fingerprint) = (&digest[..], &key.fingerprint()[..]);
    let parameters = [
        (&digest as _, Type::BYTEA),
        (&fingerprint as _, Type::BYTEA),
    ];
    let row = database.read_one("look_up", &parameters).await?;
    match column(&row, "verdict")? {
        0 => Ok(None),
        3 => Ok(Some(Created::KeyReused)),
        _ => {
            let record = record_of(&row, Detail::Status)?;
            Ok(record.map(|record| Created::Existing(Box::new(record))))
        }
    }
}

/// Reads a chunk of a result.
pub(crate) async fn read_chunk(
    database: &Database,
    result: &ResultRef,
    index: u32,
) -> Result<Option<Bytes>, StoreError> {
    let Ok(number) = i32::try_from(index) else {
        return Ok(None);
    };
    let parameters = [
        (&Id(result.lease.id) as _, Type::UUID),
        (&narrow(result.lease.epoch) as _, Type::INT8),
        (&number as _, Type::INT4),
    ];
    let row = database.read_one("read_chunk", &parameters).await?;
    let data: Option<&[u8]> = row.try_get(0).map_err(StoreError::corrupt)?;
    Ok(data.map(Bytes::copy_from_slice))
}

/// Finds a job by its handle.
pub(crate) async fn find(
    database: &Database,
    handle: JobHandle,
) -> Result<Option<JobId>, StoreError> {
    let parameters = [(&handle_number(handle) as _, Type::INT8)];
    let rows = database.read("find", &parameters).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    match column::<Option<i32>>(row, "refusal")? {
        Some(format) => Err(refused(format)),
        None => Ok(Some(column::<Id>(row, "id")?.0)),
    }
}
