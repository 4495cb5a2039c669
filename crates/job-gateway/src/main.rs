//! `job-gateway`: pollable, durable jobs for slow HTTP servers in any language.
//!
//! [`commands`] run what [`arguments`], the command line, asks for. A [`server`] accepts the
//! connections of clients, and hands their requests to the [`gateway`]: it finds the route, makes
//! jobs of slow requests, and keeps them in a [`store`]. Beneath it, the [`proxy`] writes each request
//! again for its server, to which [`upstream`] has the connections, and which reports its [`progress`].
//! [`principal`] finds the one who asks. [`config`] has the settings.

mod arguments;
mod commands;

mod server;

mod gateway;
mod store;

mod callback;
mod progress;
mod proxy;
mod upstream;

mod observe;
mod principal;
mod text;
mod tls;

mod fields;

mod config;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    commands::run(arguments::Arguments::parse())
}
