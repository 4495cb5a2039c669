//! Results that are larger than memory should be, through real sockets.

mod client;
mod content;
mod downloads;
#[cfg(target_os = "linux")]
mod memory;
mod process;
mod server;
