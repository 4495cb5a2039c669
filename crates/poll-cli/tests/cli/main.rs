//! The real binary against a small server over loopback.

mod curl;
mod dialects;
mod downloads;
mod exits;
mod faults;
mod headers;
mod interrupt;
mod jobs;
mod lists;
mod locations;
mod options;
mod output;
mod poll;
mod proxies;
mod raw;
mod server;
mod tls;
mod told;
mod words;
