//! Nodes and processes that share a server: the tests of all durable stores.
#![cfg(unix)]

mod counted;
mod data;

test_nodes::layer_tests!(data::RedisNodes);
