//! `poll`: curl's manners for APIs that answer by polling.
//!
//! [`arguments`] is the command line, [`commands`] what it makes happen.
//! These put together [`request`] (what is sent), [`transport`] (the HTTP
//! client), [`client`] (tower-poll's layer around it) and [`output`] (where
//! the answer goes). [`progress`] and [`trace`] write to standard error,
//! through [`words`], which filters what servers say; [`write_out`] is `-w`.
//! [`job`] is about handles to go on with, [`exit`] about failures and codes.

mod commands;

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
    // A read of standard input may still be under way, and is not waited for.
    runtime.shutdown_background();
    ExitCode::from(code as u8)
}
