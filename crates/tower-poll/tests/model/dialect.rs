//! A dialect that looks into documents, and goes where they say.

use http::StatusCode;
use http_polling::JobState;
use serde_json::Value;
use tower_poll::dialect::{Answer, Dialect, DialectError, Step};

#[derive(Debug)]
pub(crate) struct Documents;

impl Dialect for Documents {
    fn name(&self) -> &'static str {
        "documents"
    }

    fn recognises(&self, answer: &Answer<'_>) -> bool {
        matches!(answer.status(), StatusCode::OK | StatusCode::ACCEPTED)
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError> {
        if !answer.status().is_success() {
            return Ok(Step::AsHead);
        }
        if answer.body().is_none() {
            return Ok(Step::NeedsBody);
        }
        let document = answer.json()?;
        if let Some(Value::String(result)) = document.get("resourceLocation") {
            return Ok(Step::Fetch(answer.resolve(result)?));
        }
        Ok(match document["status"].as_str() {
            Some("InProgress") => Step::Pending(answer.pending(answer.resolve("/status")?)),
            Some("failed") => Step::Failed(JobState::Failed, None),
            Some("succeeded") => Step::Done,
            Some(_) => return Err(DialectError::missing("`status`")),
            None => Step::AsHead,
        })
    }
}
