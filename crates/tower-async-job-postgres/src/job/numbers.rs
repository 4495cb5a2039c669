//! Ids, handles and enumerations as the database has them.

use std::{error::Error, sync::Arc};

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};
use tower_async_job_core::{
    JobHandle, JobId, Owner, PendingStatus, Principal, Protocol, StoreError,
};

/// The id of a job as a UUID.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id(pub(crate) JobId);

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_u128(self.0.to_bits());
        Ok(IsNull::No)
    }

    accepts!(UUID);

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Id {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let bits = u128::from_be_bytes(raw.try_into()?);
        Ok(Self(JobId::from_bits(bits)))
    }

    accepts!(UUID);
}

pub(crate) fn ids(ids: impl IntoIterator<Item = JobId>) -> Vec<Id> {
    ids.into_iter().map(Id).collect()
}

/// Converts a number that fits into 62 bits, unless it is made up.
pub(crate) fn narrow(number: u64) -> i64 {
    i64::try_from(number).map_or(1 << 62, |number| number.min(1 << 62))
}

/// Converts a handle to a number of the same order.
pub(crate) fn handle_number(handle: JobHandle) -> i64 {
    (handle.to_bits() ^ 1 << 63) as i64
}

pub(crate) fn handle_of(number: i64) -> JobHandle {
    JobHandle::from_bits(number as u64 ^ 1 << 63)
}

pub(crate) fn protocol_number(protocol: Protocol) -> i16 {
    (protocol == Protocol::Grpc).into()
}

pub(crate) fn protocol_of(number: i16) -> Protocol {
    match number {
        1 => Protocol::Grpc,
        _ => Protocol::Http,
    }
}

pub(crate) fn pending_status_number(status: PendingStatus) -> i16 {
    (status == PendingStatus::Accepted).into()
}

pub(crate) fn pending_status_of(number: i16) -> PendingStatus {
    match number {
        1 => PendingStatus::Accepted,
        _ => PendingStatus::SeeOther,
    }
}

/// Returns a text that is stored as bytes.
pub(crate) fn text_of(bytes: &[u8]) -> Result<Arc<str>, StoreError> {
    str::from_utf8(bytes)
        .map(Arc::from)
        .map_err(StoreError::corrupt)
}

/// Returns the owner of a job.
pub(crate) fn owner_of(kind: i16, owner: Option<&[u8]>) -> Result<Option<Owner>, StoreError> {
    let missing = || StoreError::corrupt("its owner is malformed");
    Ok(match (kind, owner) {
        (0, None) => None,
        (1, Some(name)) => Some(Owner::Named(Principal::new(text_of(name)?))),
        (2, Some(digest)) => {
            let digest = digest.try_into().map_err(|_| missing())?;
            Some(Owner::Digest(Box::new(digest)))
        }
        _ => return Err(missing()),
    })
}
