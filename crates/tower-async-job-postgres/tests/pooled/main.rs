//! Nodes and processes that share a database behind PgBouncer: the tests of all durable stores.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../layer/counted.rs"]
mod counted;
#[path = "../layer/data.rs"]
mod data;

test_nodes::layer_tests!(crate::data::PostgresNodes<true>);
