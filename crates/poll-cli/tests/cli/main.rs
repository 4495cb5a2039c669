//! The real binary against a small server over loopback.

mod exits;
mod faults;
mod interrupt;
mod jobs;
mod locations;
mod options;
mod output;
mod poll;
mod server;
mod tls;
