//! The name of the gateway among the intermediaries of a request.

use std::sync::OnceLock;

/// The name of a gateway without a setting.
const USUAL: &str = "job-gateway";

static NAME: OnceLock<Box<str>> = OnceLock::new();

/// Sets the name in `Via` and `Proxy-Status`, which is that of the process. The first call counts.
pub(crate) fn set_name(name: &str) {
    let _ = NAME.set(name.into());
}

/// Returns the name in `Via` and `Proxy-Status`.
pub(super) fn name() -> &'static str {
    NAME.get().map_or(USUAL, |name| name)
}
