//! The process under test: the example `durable`, with short leases and further routes.

use std::{convert::Infallible, io::Write, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use durable::{Archive, routes, serve};
use futures_util::stream;
use http::HeaderValue;
use tokio::{net::TcpListener, time::sleep};
use tower_async_job::{
    AsyncJobLayer, CancelReason, HalfElapsed, JobContext, Notification, Notified, Policy,
    store::{JobStore, Retention},
};

use crate::{
    calls::{CALLBACK, MOST_ATTEMPTS, MOST_POISONED, NONCE, NUMBER, Task, Work},
    clock::ShiftedClock,
    store::{Opening, Place, begin_newer},
};

/// The bytes of a part of a long body, and the time between two.
const PART: usize = 64 << 10;
const BETWEEN: Duration = Duration::from_millis(20);

/// The time after which jobs and their results are gone. It exceeds all shifts of the clock.
pub(crate) const KEPT: Duration = Duration::from_secs(10 * 3600);

/// Runs a process under test. It ends when its standard input does.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    #[command(flatten)]
    place: Place,
    #[arg(long)]
    role: Role,
    #[arg(long)]
    lease: u64,
    #[arg(long)]
    grace: u64,
    /// The seconds by which its clock is ahead.
    #[arg(long, allow_negative_numbers = true)]
    offset: i64,
    /// It is of the next version.
    #[arg(long)]
    newer: bool,
}

/// The role of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Both,
    Front,
    Worker,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Front => "front",
            Self::Worker => "worker",
        }
    }

    /// Returns whether clients reach such processes.
    pub(crate) fn has_clients(self) -> bool {
        self != Self::Worker
    }
}

impl From<Role> for tower_async_job::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Both => Self::Both,
            Role::Front => Self::Front,
            Role::Worker => Self::Worker,
        }
    }
}

/// The nonce of a run.
#[derive(Clone)]
struct Nonce(String);

/// Serves until SIGTERM, or until standard input ends.
pub(crate) async fn run(options: Serve) -> anyhow::Result<()> {
    if options.newer {
        begin_newer();
    }
    let clock = ShiftedClock::ahead(options.offset);
    end_with_input({
        let clock = clock.clone();
        move |line| obey(&clock, line)
    });
    let opening = Opening {
        lease: Duration::from_millis(options.lease),
        clock,
        is_newer: options.newer,
    };
    let store = open(&options.place, opening).await?;
    let routes = routes(Archive::default())
        .merge(further_routes())
        .layer(from_fn(observe));

    let jobs = AsyncJobLayer::builder()
        .store(store)
        .role(options.role.into())
        .policy(policies())
        .notify_when(|request| {
            let number = request.headers.get(&CALLBACK);
            Ok(number.map(|number| Bytes::copy_from_slice(number.as_bytes())))
        })
        .estimator(HalfElapsed::between(
            Duration::from_millis(100),
            Duration::from_millis(500),
        ))
        .build()?;
    if options.role != Role::Front {
        tokio::spawn(jobs.worker(routes.clone()).run());
    }
    tokio::spawn(jobs.notifier(receive).run());
    let app = routes.layer(jobs.clone());

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(format_args!("listening {}", listener.local_addr()?));
    let grace = Duration::from_millis(options.grace);
    Ok(serve(listener, app, jobs, grace).await?)
}

/// Opens the store. Servers may be away at first.
async fn open(place: &Place, how: Opening) -> anyhow::Result<Arc<dyn JobStore>> {
    loop {
        match place.open(how.clone()).await {
            Err(error) if place.store.has_servers() => {
                eprintln!("the store cannot be opened: {error:#}");
                sleep(Duration::from_millis(100)).await;
            }
            opened => return opened,
        }
    }
}

/// Obeys the lines of standard input, until it ends with the harness, and the process with it.
///
/// It has a thread that nothing waits for, unlike one of the runtime.
pub(crate) fn end_with_input(obey: impl Fn(String) + Send + 'static) {
    std::thread::spawn(move || {
        std::io::stdin()
            .lines()
            .map_while(Result::ok)
            .for_each(obey);
        std::process::exit(0);
    });
}

fn obey(clock: &ShiftedClock, line: String) {
    if let Some(seconds) = line.strip_prefix("clock ") {
        let seconds = seconds.parse().expect("a number of seconds");
        clock.set(seconds);
    }
}

/// Says a line to the harness, in one piece.
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    // An error: the harness is gone.
    let _ = std::io::stdout()
        .lock()
        .write_all(format!("{line}\n").as_bytes());
}

fn policies() -> impl Fn(http_polling::RequestHead<'_>) -> Arc<Policy> + Send + Sync + 'static {
    let mut usual = Policy::default();
    usual.inline_wait = Duration::from_millis(100);
    usual.retention = Retention::new(KEPT, KEPT);
    usual.job_deadline = Some(KEPT);
    usual.replay = true;
    usual.max_attempts = MOST_ATTEMPTS;
    usual.kept_headers = vec![NUMBER];
    let mut local = usual.clone();
    local.replay = false;
    let mut poison = usual.clone();
    poison.max_attempts = MOST_POISONED;
    let [usual, local, poison] = [usual, local, poison].map(Arc::new);
    move |request| match request.uri.path() {
        path if path == Work::Local.path() => local.clone(),
        path if path == Work::Poison.path() => poison.clone(),
        _ => usual.clone(),
    }
}

fn further_routes() -> Router {
    Router::new()
        .route(Work::Run.path(), post(work))
        .route(Work::Local.path(), post(work))
        .route(Work::Large.path(), post(large))
        .route(Work::Poison.path(), post(poison))
}

/// Receives a notification, as a receiver that is not always there.
async fn receive(notification: Notification) -> Notified {
    if fastrand::u8(0..4) == 0 {
        return Notified::Again(Duration::from_millis(100));
    }
    let number = String::from_utf8_lossy(&notification.target);
    let (handle, state) = (notification.handle, notification.state);
    say(format_args!("notified {number} {handle} {state}"));
    Notified::Done
}

/// Returns a new nonce of a run.
pub(crate) fn nonce() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// Gives each run a nonce, and tells the harness of its begin and its end.
async fn observe(job: JobContext, mut request: Request, next: Next) -> Response {
    let number = request.headers().get(&NUMBER).cloned();
    let Some(number) = number.as_ref().and_then(|number| number.to_str().ok()) else {
        return next.run(request).await;
    };
    let nonce = nonce();
    let (attempt, handle) = (job.attempt(), job.handle());
    say(format_args!("run {number} {attempt} {nonce} {handle}"));
    tokio::spawn({
        let job = job.clone();
        async move {
            job.cancelled().await;
            if job.cancel_reason() == Some(CancelReason::LeaseLost) {
                say(format_args!("lease-lost"));
            }
        }
    });
    request.extensions_mut().insert(Nonce(nonce.clone()));
    let mut response = next.run(request).await;
    say(format_args!("returned {number}"));
    let nonce = HeaderValue::try_from(nonce).expect("digits");
    response.headers_mut().insert(NONCE, nonce);
    response
}

async fn take_time(task: Task, job: &JobContext) {
    const STEPS: u32 = 5;
    for step in 1..=STEPS {
        sleep(Duration::from_millis(task.millis) / STEPS).await;
        job.progress_of(step.into(), STEPS.into());
    }
}

async fn work(Extension(nonce): Extension<Nonce>, job: JobContext, task: Json<Task>) -> String {
    take_time(task.0, &job).await;
    nonce.0.repeat(task.size / 16)
}

async fn large(Extension(nonce): Extension<Nonce>, job: JobContext, task: Json<Task>) -> Body {
    take_time(task.0, &job).await;
    in_parts(Bytes::from(nonce.0.repeat(task.size / 16)))
}

/// Returns a body that is sent in parts, slowly.
pub(crate) fn in_parts(whole: Bytes) -> Body {
    Body::from_stream(stream::unfold(whole, |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        sleep(BETWEEN).await;
        let part = rest.split_to(rest.len().min(PART));
        Some((Ok::<_, Infallible>(part), rest))
    }))
}

/// Kills the process, once its job is accepted.
async fn poison() {
    sleep(Duration::from_millis(300)).await;
    std::process::abort();
}
