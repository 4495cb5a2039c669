//! `poll check`.

use super::session::Session;
use crate::{
    arguments::Check,
    check,
    exit::{Code, Failure},
};

pub(super) async fn run(arguments: &Check, session: &Session) -> Result<Code, Failure> {
    let Some(target) = &arguments.url else {
        return check::list(arguments).await;
    };
    let client = session.client(&target.uri)?;
    check::run(arguments, target, client, &session.screen).await
}
