//! The report at the end of the command.

use std::time::Instant;

use super::session::Session;
use crate::{
    exit::{Code, Failure},
    job::offer,
    write_out::{Facts, Format},
};

/// Reports a failure, the handle to resume with, and the text of `-w`.
pub(super) fn report(
    outcome: Result<Code, Failure>,
    session: &Session,
    format: Option<&Format>,
    start: Instant,
) -> Code {
    let screen = &session.screen;
    screen.clear();
    let exchange = session.last.get();
    let (code, error) = match outcome {
        Ok(code) => (code, None),
        Err(failure) => {
            let mut text = failure.to_string();
            if failure.is_of_exchange()
                && let Some(exchange) = exchange.describe()
            {
                text += &format!(" ({exchange})");
            }
            if !failure.is_broken_pipe() {
                screen.line(&format!("poll: {text}"));
                for note in &failure.notes {
                    screen.line(&format!("poll: {note}"));
                }
                if let Some(job) = session.slot.job() {
                    screen.lines(&offer(&job));
                }
            }
            (failure.code, Some(text))
        }
    };
    if let Some(format) = format {
        let facts = Facts {
            exchange: &exchange,
            code,
            error: error.as_deref(),
            took: start.elapsed(),
        };
        format.fill(&facts).write();
    }
    code
}
