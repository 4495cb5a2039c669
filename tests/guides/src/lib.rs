//! The guides in `docs`: their examples are the tests of this crate. Hidden lines of an example call
//! the functions below.

#[doc = include_str!("../../../docs/testing.md")]
mod testing_guide {}

/// Runs an example on a paused clock, so that hours of work take no time.
///
/// ```
/// guides::paused(async {
///     tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
/// });
/// ```
///
/// # Panics
///
/// Panics if the example does.
pub fn paused<T>(example: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(example)
}
