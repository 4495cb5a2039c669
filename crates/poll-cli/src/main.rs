//! `poll`: curl's manners for APIs that answer by polling.
//!
//! [`commands`] run what [`arguments`], the command line, asks for. They send a
//! [`request`] through [`transport`], the HTTP client, and [`client`],
//! tower-poll's layer around it, and write the answer to [`output`].
//! [`progress`] and [`trace`] write to standard error, and [`write_out`] is
//! `-w`. [`words`] filters texts of servers. [`exchange`] records the last
//! request and answer, [`job`] reads and prints handles, and [`exit`] has the
//! failures and exit codes. [`check`] is `poll check`, whose exchanges are made
//! without tower-poll.

mod commands;

mod check;

mod client;
mod transport;

mod arguments;

mod job;
mod output;
mod write_out;

mod exchange;
mod progress;
mod request;
mod trace;

mod exit;
mod words;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

use crate::{arguments::Arguments, exit::Code};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        eprintln!("poll: the system gives no event queue");
        return ExitCode::from(Code::Other as u8);
    };
    let code = runtime.block_on(commands::run(arguments));
    // Does not wait for a pending read of standard input.
    runtime.shutdown_background();
    ExitCode::from(code as u8)
}
