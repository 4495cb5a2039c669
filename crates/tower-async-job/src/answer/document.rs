//! The status document.

use http_polling::{JsonRef, StatusDocumentRef};
use tower_async_job_core::{JobRecord, Json};

pub(crate) fn document<'a>(record: &'a JobRecord, id: &'a str) -> StatusDocumentRef<'a> {
    let mut document = StatusDocumentRef::new(id, record.state);
    document.created = Some(record.created);
    document.started = record.started;
    document.ended = record.ended;
    document.attempt = record.attempt;
    document.progress = record.progress.as_ref();
    document.partial = record.partial.as_ref().map(text);
    document.metadata = record.metadata.as_ref().map(text);
    document
}

pub(crate) fn text(json: &Json) -> JsonRef<'_> {
    JsonRef::Text(json.as_bytes())
}
