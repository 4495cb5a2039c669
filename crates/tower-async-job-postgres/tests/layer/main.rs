//! Nodes and processes that share a database: the tests of all durable stores.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod counted;
mod data;

mod direct {
    test_nodes::layer_tests!(crate::data::Direct);
}

mod pgbouncer {
    test_nodes::layer_tests!(crate::data::Pooled);
}
