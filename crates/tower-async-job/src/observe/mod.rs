//! Logs, metrics and links between spans.

use std::error::Error;

pub(crate) mod links;
pub(crate) mod metrics;
pub(crate) mod recent;

/// Returns an error as a field of an event that shows its sources too, which `%error` does not.
pub(crate) fn with_sources<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error
}
