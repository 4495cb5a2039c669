//! Nodes and processes that share a database: the tests of all durable stores.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod counted;
mod data;

test_nodes::layer_tests!(crate::data::PostgresNodes<false>);
