//! `poll resume`.

use super::{
    download::{self, Subject},
    follow,
    session::Session,
};
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
        let subject = Subject::Job(Box::new(job.pending()));
        if let Some(code) = download::go_on(subject, session, &resume.follow).await? {
            return Ok(code);
        }
        follow::to_the_end(job, session, &resume.follow).await
    };
    follow::within(resume.follow.deadline, work).await
}
