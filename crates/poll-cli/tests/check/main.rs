//! `poll check` against servers that obey the protocol, and against servers that break one rule.

#[path = "../cli/poll.rs"]
#[allow(dead_code, reason = "the other tests of the command use the rest")]
mod poll;

mod correct;
mod hostile;
mod least;
mod mutants;
mod options;
mod outcome;
mod server;
