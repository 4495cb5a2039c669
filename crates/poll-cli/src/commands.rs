//! The commands of the command line.

mod advice;
mod cancel;
mod check;
mod download;
mod end;
mod follow;
mod generate;
mod glance;
mod interrupt;
mod list;
mod resume;
mod send;
mod session;
mod status;

use std::time::Instant;

use self::session::Session;
use crate::{
    arguments::{Arguments, Command},
    check::Running,
    exit::{Code, Failure},
    write_out::Format,
};

/// Runs the command of `arguments`, and reports failures.
pub(crate) async fn run(arguments: Arguments) -> Code {
    let start = Instant::now();
    let follow = match &arguments.command {
        None => Some(&arguments.send.follow),
        Some(Command::Resume(resume)) => Some(&resume.follow),
        Some(Command::Status(_) | Command::Cancel(_) | Command::Check(_) | Command::List(_)) => {
            None
        }
    };
    let (connection, given) = match &arguments.command {
        None => (&arguments.send.connection, None),
        Some(Command::Resume(resume)) => (&resume.connection, Some(&resume.given)),
        Some(Command::Status(status)) => (&status.connection, Some(&status.given)),
        Some(Command::Cancel(cancel)) => (&cancel.connection, Some(&cancel.given)),
        Some(Command::Check(check)) => (&check.connection, None),
        Some(Command::List(list)) => (&list.connection, None),
    };
    let target = match &arguments.command {
        Some(Command::Check(check)) => check.url.as_ref(),
        Some(Command::List(list)) => Some(&list.url),
        _ => arguments.send.url.as_ref(),
    };
    let user = match given {
        Some(given) => given.job.user.as_ref(),
        None => target.and_then(|url| url.user.as_ref()),
    };
    let session = Session::new(connection, user);
    let running = Running::default();
    let work = async {
        if let Some(what) = arguments.send.generate {
            return generate::run(what).await;
        }
        arguments.check()?;
        match &arguments.command {
            None => send::run(&arguments.send, &session).await,
            Some(Command::Resume(resume)) => resume::run(resume, &session).await,
            Some(Command::Status(status)) => status::run(status, &session).await,
            Some(Command::Cancel(cancel)) => cancel::run(cancel, &session).await,
            Some(Command::Check(check)) => check::run(check, &session, &running).await,
            Some(Command::List(list)) => list::run(list, &session).await,
        }
    };
    let outcome = tokio::select! {
        biased;
        () = interrupt::arrives() => Err(Failure::new(Code::Interrupted, "interrupted")),
        () = interrupt::terminates() => Err(Failure::new(Code::Terminated, "terminated")),
        outcome = work => outcome,
    };
    let format: Option<&Format> = follow.and_then(|follow| follow.write_out.as_ref());
    let code = end::report(outcome, &session, format, start);
    if code == Code::Interrupted && follow.is_some_and(|follow| follow.cancel_on_interrupt) {
        interrupt::cancel_if_repeated(&session).await;
    }
    if matches!(code, Code::Interrupted | Code::Terminated) {
        check::clean_up(&running, &session).await;
    }
    code
}
