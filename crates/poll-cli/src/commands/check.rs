//! `poll check`.

use super::{interrupt, session::Session};
use crate::{
    arguments::Check,
    check::{self, Running},
    exit::{Code, Failure},
};

pub(super) async fn run(
    arguments: &Check,
    session: &Session,
    running: &Running,
) -> Result<Code, Failure> {
    let Some(target) = &arguments.url else {
        return check::list(arguments).await;
    };
    let client = session.client(&target.uri)?;
    check::run(arguments, target, client, &session.screen, running).await
}

/// Deletes the jobs of a check that was interrupted. Another Ctrl-C ends that.
pub(super) async fn clean_up(running: &Running, session: &Session) {
    tokio::select! {
        biased;
        () = interrupt::arrives() => {}
        left = running.clean_up() => if let Some(text) = check::left(left) {
            session.screen.line(&text);
        },
    }
}
