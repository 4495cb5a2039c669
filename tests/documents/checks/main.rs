//! Documents against the workspace: every test that one names exists and runs, as does every query,
//! and every error of opening a store is explained.

mod cluster;
mod faults;
mod gateway;
mod protocol;
mod readme;
mod sources;
mod stores;
