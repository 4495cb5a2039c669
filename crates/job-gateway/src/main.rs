//! `job-gateway`: pollable, durable jobs for slow HTTP servers in any language.

mod config;

fn main() {}
