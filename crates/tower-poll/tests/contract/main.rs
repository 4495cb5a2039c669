//! What the layer promises to the service beneath and to the caller above.

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
