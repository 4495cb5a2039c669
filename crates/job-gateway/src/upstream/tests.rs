//! Tests of the client against servers by hand, most of them in memory and on paused time.

mod connect;
mod failures;
mod http2;
mod idle;
mod many;
mod once;
mod support;
mod upgrade;
