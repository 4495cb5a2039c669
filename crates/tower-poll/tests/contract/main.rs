//! The promises of the layer to the service beneath it and to the caller.

#[path = "../common/mod.rs"]
mod common;

mod asking;
mod by_hand;
mod cancelling;
mod dropping;
mod passing;
mod readiness;
mod releasing;
mod timing;
mod waiting;
mod watching;
