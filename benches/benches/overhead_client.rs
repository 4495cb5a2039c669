//! The time that the client half and its peers add: `cargo bench -p benches --bench overhead_client`.

use criterion::{Criterion, criterion_group, criterion_main};

mod timed;

fn overhead(criterion: &mut Criterion) {
    timed::cases(criterion, benches::client::entries());
}

criterion_group! {
    name = client;
    config = timed::short();
    targets = overhead
}
criterion_main!(client);
