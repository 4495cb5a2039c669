//! Handles and enumerations as numbers.

use tower_async_job_core::{JobHandle, PendingStatus, Protocol};

/// Converts a handle to a number of the same order.
pub(crate) fn handle_number(handle: JobHandle) -> i64 {
    (handle.to_bits() ^ 1 << 63) as i64
}

pub(crate) fn handle_of(number: i64) -> JobHandle {
    JobHandle::from_bits(number as u64 ^ 1 << 63)
}

pub(super) fn protocol_number(protocol: Protocol) -> i64 {
    i64::from(protocol == Protocol::Grpc)
}

pub(super) fn protocol_of(number: i64) -> Protocol {
    match number {
        1 => Protocol::Grpc,
        _ => Protocol::Http,
    }
}

pub(super) fn pending_status_number(status: PendingStatus) -> i64 {
    i64::from(status == PendingStatus::Accepted)
}

pub(super) fn pending_status_of(number: i64) -> PendingStatus {
    match number {
        1 => PendingStatus::Accepted,
        _ => PendingStatus::SeeOther,
    }
}
