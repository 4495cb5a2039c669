//! The surroundings of answers: stacks and routers, the page, the list for operators, the OpenAPI
//! document and metrics.

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "metrics")]
mod metrics;
mod mounting;
#[cfg(feature = "openapi")]
mod openapi;
mod operator;
mod page;
mod probes;
mod readiness;
#[cfg(feature = "metrics")]
mod seen;
mod stacks;
