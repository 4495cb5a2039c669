//! The parts of a request that the layer reads.

pub(crate) mod accept;
pub(crate) mod closing;
pub(crate) mod conditions;
pub(crate) mod fingerprint;
pub(crate) mod glance;
pub(crate) mod kept;
pub(crate) mod route_names;
pub(crate) mod submission;
pub(crate) mod trailers;
