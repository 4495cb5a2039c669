use std::{future::poll_fn, mem, task::Poll};

/// The work between two yields to other tasks, counted in looks at one job, which take 20 to 60 ns
/// each.
///
/// A scheduler may run a ready task many times before it polls the system for other ready tasks
/// (tokio 61 times), so all these times together must be short.
const SLICE: usize = 512;

/// Divides long work into slices, each done in one poll of its future.
#[derive(Debug, Default)]
pub(super) struct Pace {
    done: usize,
}

impl Pace {
    /// The work of locking a shard.
    pub(super) const LOCK: usize = 2;

    /// The work of changing a job, or of copying its record.
    pub(super) const STEP: usize = 32;

    /// The steps, and the looks, under one lock.
    pub(super) const LOCKED_STEPS: usize = SLICE / Self::STEP;
    pub(super) const LOCKED_LOOKS: usize = SLICE;

    /// Counts work, and yields to other tasks when it is enough.
    pub(super) async fn spend(&mut self, work: usize) {
        self.done += work;
        if self.done >= SLICE {
            self.done = 0;
            yield_now().await;
        }
    }
}

/// Lets other tasks run first, under any executor.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
