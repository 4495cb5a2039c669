use bytes::Bytes;
use tower_async_job_core::{Report, StoreError};

use crate::link::Call;

/// Adds a report to the arguments of a script: marks of the fields that it has, and these.
pub(super) fn add_report(call: Call, report: Option<&Report>) -> Result<Call, StoreError> {
    let Some(report) = report else {
        return Ok(call.arg("0000"));
    };
    let progress = report.progress.as_ref().map(serde_json::to_vec).transpose();
    let fields = [
        progress.map_err(StoreError::corrupt)?.map(Bytes::from),
        report.partial.as_ref().map(|json| json.as_bytes().clone()),
        report.metadata.as_ref().map(|json| json.as_bytes().clone()),
        report.checkpoint.clone(),
    ];
    let marks = fields
        .each_ref()
        .map(|field| if field.is_some() { '1' } else { '0' });
    let call = call.arg(String::from_iter(marks));
    Ok(fields
        .into_iter()
        .flatten()
        .fold(call, |call, field| call.arg(field)))
}
