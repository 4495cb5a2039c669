//! `poll resume`.

use super::{follow, session::Session};
use crate::{
    arguments::Resume,
    client::following,
    exit::{Code, Failure},
};

pub(super) async fn run(resume: &Resume, session: &Session) -> Result<Code, Failure> {
    session.slot.set(Some(session.job(&resume.given)));
    let layer = following(&session.connection, &resume.follow, &session.screen);
    let work = async {
        let job = session.resume_given(&resume.given, layer)?;
        follow::to_the_end(job, session, &resume.follow).await
    };
    follow::within(resume.follow.deadline, work).await
}
