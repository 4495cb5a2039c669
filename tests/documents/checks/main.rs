//! Documents against the workspace: every test that one names exists and runs, as does every query,
//! and every error of opening a store is explained, as is every other message.

mod cluster;
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
