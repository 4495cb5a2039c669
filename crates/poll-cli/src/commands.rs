//! What the command line makes happen.

mod cancel;
mod follow;
mod generate;
mod interrupt;
mod resume;
mod send;
mod status;

use http::StatusCode;
use hyper::body::Incoming;
use tower::Layer;
use tower_poll::{Job, PendingJob, PollLayer};

use crate::{
    arguments::{Arguments, Command, Connection},
    client::Pace,
    exit::{Code, Failure},
    job::{Slot, offer},
    progress::Screen,
    request::{Whole, headers},
    transport::{Transport, client},
};

type ResumedJob = Job<Transport<Whole>, Whole, Incoming, Pace>;

/// What all commands work with.
#[derive(Clone, Debug)]
struct Session {
    connection: Connection,
    screen: Screen,
    /// The job to go on with if the command fails.
    slot: Slot,
}

impl Session {
    /// Where exchanges are shown, if they are to be.
    fn shown(&self) -> Option<Screen> {
        self.connection.verbose.then(|| self.screen.clone())
    }

    /// Goes on with a job.
    fn resume(&self, job: &PendingJob, layer: PollLayer<Pace>) -> Result<ResumedJob, Failure> {
        let Connection {
            headers: lines,
            user,
            http2,
            ..
        } = &self.connection;
        let headers = headers(lines, user.as_deref(), false);
        let client = client(*http2, self.shown())?;
        layer
            .layer(client)
            .resume(job, &headers)
            .map_err(Failure::of_call)
    }
}

/// Does what `arguments` say, and says what went wrong.
pub(crate) async fn run(arguments: Arguments) -> Code {
    if let Some(what) = arguments.send.generate {
        let screen = Screen::new(true);
        return report(generate::run(what).await, &screen, &Slot::default());
    }
    let (connection, cancels) = match &arguments.command {
        None => (
            &arguments.send.connection,
            arguments.send.follow.cancel_on_interrupt,
        ),
        Some(Command::Resume(resume)) => (&resume.connection, resume.follow.cancel_on_interrupt),
        Some(Command::Status(status)) => (&status.connection, false),
        Some(Command::Cancel(cancel)) => (&cancel.connection, false),
    };
    let session = Session {
        connection: connection.clone(),
        screen: Screen::new(connection.silent),
        slot: Slot::default(),
    };
    let work = async {
        arguments.check()?;
        match &arguments.command {
            None => send::run(&arguments.send, &session).await,
            Some(Command::Resume(resume)) => resume::run(resume, &session).await,
            Some(Command::Status(status)) => status::run(status, &session).await,
            Some(Command::Cancel(cancel)) => cancel::run(cancel, &session).await,
        }
    };
    let outcome = tokio::select! {
        biased;
        () = interrupt::arrives() => Err(Failure::new(Code::Interrupted, "interrupted")),
        () = interrupt::terminates() => Err(Failure::new(Code::Terminated, "terminated")),
        outcome = work => outcome,
    };
    let code = report(outcome, &session.screen, &session.slot);
    if code == Code::Interrupted && cancels {
        interrupt::cancel_if_repeated(&session).await;
    }
    code
}

fn report(outcome: Result<Code, Failure>, screen: &Screen, slot: &Slot) -> Code {
    screen.clear();
    let failure = match outcome {
        Ok(code) => return code,
        Err(failure) => failure,
    };
    if !failure.is_broken_pipe() {
        screen.line(&format!("poll: {failure}"));
        if let Some(job) = slot.job() {
            screen.line(&offer(&job));
        }
    }
    failure.code
}

/// What a final status comes to.
fn code_of(status: StatusCode) -> Code {
    match status.is_client_error() || status.is_server_error() {
        true => Code::HttpError,
        false => Code::Success,
    }
}
