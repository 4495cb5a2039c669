//! Documents against the sources of the workspace: every test that one names exists and runs.

mod faults;
mod protocol;
mod sources;
