//! The time that the server half and its peers add: `cargo bench -p benches --bench overhead_server`.
//! Measured as a service, and as a whole server on a connection without a socket.

use criterion::{Criterion, criterion_group, criterion_main};

mod timed;

fn overhead(criterion: &mut Criterion) {
    timed::cases(
        criterion,
        [benches::server::entries(), benches::connection::entries()].concat(),
    );
}

criterion_group! {
    name = server;
    config = timed::short();
    targets = overhead
}
criterion_main!(server);
