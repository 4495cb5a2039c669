//! Documents against the workspace: every test that one names exists and runs, as does every query,
//! every message is explained, and every feature of a crate is in its table.

mod cluster;
mod crates;
mod faults;
mod gateway;
mod links;
mod messages;
mod production;
mod protocol;
mod readme;
mod sources;
mod stores;
mod troubleshooting;
