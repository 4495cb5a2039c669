//! The delay of the answer after the end of the job, by long-poll and by a plain held connection, and the
//! memory of a held poll.
//!
//! ```text
//! cargo bench -p benches --bench longpoll
//! ```
//!
//! Both ways take turns in one process, so that the load of the machine affects both equally. The
//! delay begins with the last step of the job and ends when the client has read the whole answer of
//! 1 KiB. *Loopback*: a server on a separate thread, one persistent HTTP/1 connection, and a client that
//! blocks on it. *In process*: the service is called on the runtime of the job. The held connection is a
//! handler that waits for a `Notify`, which a task with the work notifies.

use std::{
    alloc::System,
    convert::Infallible,
    env,
    error::Error,
    hint::spin_loop,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    pin::Pin,
    process::Command,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    routing::{get, post},
};
use benches::{
    Body, Headers,
    memory::{resident, warm_runtime},
    request, runtime, settle,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::LOCATION};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::{
    sync::Notify,
    task::{JoinHandle, yield_now},
};
use tower::{Layer, Service, service_fn};
use tower_async_job::{AsyncJobLayer, JobBody, store::MemoryStore};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The number of measurements of each way, over a socket and in process.
const TURNS: usize = 5_000;
const WARM_UP: usize = 200;

/// The number of held polls.
const WAITERS: usize = 100_000;

/// The names of the held items.
const HELD: [(&str, Make); 3] = [
    ("held connections, hand-written", waiters_by_hand),
    ("long-polls of one job", waiters_on_one_job),
    ("long-polls, and a job each", waiters_on_jobs),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [held, name] = &arguments[..]
        && held == "held"
    {
        hold(name);
        return Ok(());
    }
    // `cargo test --benches` runs this too, without that argument.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    println!(
        "| end of the job to the answer | p50 | p99 | p50 to held | p99 to held | goal | kept |"
    );
    println!("|---|---:|---:|---:|---:|---|---|");
    for (machine, pause, most) in [("asleep", asleep as fn(), 1.5), ("awake", awake, 1.2)] {
        let (held, polled) = over_loopback(pause)?;
        let ratio = polled.p50 / held.p50;
        let goal = format!("p50 at most {most} times held");
        row(
            &format!("loopback, {machine}, held connection"),
            &held,
            None,
            None,
        );
        row(
            &format!("loopback, {machine}, long-poll"),
            &polled,
            Some(&held),
            Some((&goal, ratio <= most)),
        );
    }
    let (held, polled) = in_process();
    row("in process, held call", &held, None, None);
    let goal = ("p99 at most 20 µs", polled.p99 <= 20.0);
    row("in process, long-poll", &polled, Some(&held), Some(goal));
    println!();
    println!(
        "| {WAITERS} waiting at once | requested each | resident each | all answered within |"
    );
    println!("|---|---:|---:|---:|");
    for (name, _) in HELD {
        // Runs in a separate process, whose memory is fresh.
        let output = Command::new(env::current_exe()?)
            .args(["held", name])
            .output()?;
        print!("{}", String::from_utf8(output.stdout)?);
    }
    Ok(())
}

// ---------------------------------------------------------------------------- delays

/// Delays in microseconds.
struct Delays {
    p50: f64,
    p99: f64,
}

impl Delays {
    fn of(mut delays: Vec<Duration>) -> Self {
        delays.drain(..WARM_UP);
        delays.sort();
        let at = |part: f64| {
            let index = (part * (delays.len() - 1) as f64).round() as usize;
            delays[index].as_secs_f64() * 1e6
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
        }
    }
}

fn row(name: &str, delays: &Delays, held: Option<&Delays>, goal: Option<(&str, bool)>) {
    let ratio = |own: f64, held: Option<f64>| {
        held.map_or(String::new(), |held| format!("{:.2}", own / held))
    };
    let (goal, kept) = goal.map_or(("", ""), |(goal, kept)| {
        (goal, if kept { "yes" } else { "no" })
    });
    println!(
        "| {name} | {:.1} µs | {:.1} µs | {} | {} | {goal} | {kept} |",
        delays.p50,
        delays.p99,
        ratio(delays.p50, held.map(|held| held.p50)),
        ratio(delays.p99, held.map(|held| held.p99)),
    );
}

/// The work, which waits for the gate and records the time of its end.
#[derive(Clone, Default)]
struct Work {
    gate: Arc<Notify>,
    ended: Arc<AtomicU64>,
}

impl Work {
    async fn run(self) -> Bytes {
        self.gate.notified().await;
        let result = Bytes::from(vec![b'x'; 1024]);
        self.ended.store(now(), Ordering::Release);
        result
    }

    /// Returns the time since the end of the work.
    fn delay(&self) -> Duration {
        Duration::from_nanos(now() - self.ended.load(Ordering::Acquire))
    }
}

/// Returns the nanoseconds since the first call.
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Waits for work in another task, like a handler that holds its connection.
async fn hold_for(work: Work) -> Bytes {
    let done = Arc::new((Notify::new(), OnceLock::new()));
    tokio::spawn({
        let done = done.clone();
        async move {
            let _ = done.1.set(work.run().await);
            done.0.notify_one();
        }
    });
    done.0.notified().await;
    done.1.get().cloned().unwrap_or_default()
}

fn layer() -> AsyncJobLayer {
    let store = MemoryStore::builder().max_jobs(2 * WAITERS).build();
    AsyncJobLayer::builder()
        .inline_wait(Duration::ZERO)
        .max_hold(Duration::from_secs(3600))
        .hold_limits(WAITERS, WAITERS)
        .store(Arc::new(store))
        .build()
        .expect("a valid configuration")
}

/// The state of the machine before the work ends: idle for a millisecond, so that it is slow to resume
/// work and its caches are cold;
fn asleep() {
    thread::sleep(Duration::from_millis(1));
}

/// or busy, for just the time in which the server becomes idle.
fn awake() {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_micros(100) {
        spin_loop();
    }
}

fn over_loopback(pause: fn()) -> Result<(Delays, Delays), Box<dyn Error>> {
    let work = Work::default();
    let mut client = Client::connect(serve(work.clone())?)?;
    let (mut held, mut polled) = (Vec::new(), Vec::new());
    for _ in 0..TURNS + WARM_UP {
        client.send("GET /held", "")?;
        held.push(end(&mut client, &work, pause)?);
        client.send("POST /report", "content-length: 0\r\n")?;
        let accepted = client.receive()?;
        let (_, location) = accepted.split_once("location: ").ok_or("no job")?;
        let (location, _) = location.split_once('\r').ok_or("no job")?;
        client.send(&format!("GET {location}"), "prefer: wait=3600\r\n")?;
        polled.push(end(&mut client, &work, pause)?);
    }
    Ok((Delays::of(held), Delays::of(polled)))
}

/// Ends the work that the client is waiting for.
fn end(client: &mut Client, work: &Work, pause: fn()) -> Result<Duration, Box<dyn Error>> {
    pause();
    work.gate.notify_one();
    let head = client.receive()?;
    let delay = work.delay();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    Ok(delay)
}

/// Serves both ways on a separate thread.
fn serve(work: Work) -> Result<SocketAddr, Box<dyn Error>> {
    let (bound, address) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.expect("a free port");
            let address = listener.local_addr().expect("an address");
            bound.send(address).expect("it is waited for");
            let job = work.clone();
            let router = Router::new()
                .route("/report", post(move || job.clone().run()))
                .layer(layer())
                .route("/held", get(move || hold_for(work.clone())));
            axum::serve(
                axum::serve::ListenerExt::tap_io(listener, |connection| {
                    let _ = connection.set_nodelay(true);
                }),
                router,
            )
            .await
            .expect("it serves");
        });
    });
    Ok(address.recv()?)
}

/// One connection.
struct Client {
    connection: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let connection = TcpStream::connect(address)?;
        connection.set_nodelay(true)?;
        Ok(Self {
            connection: BufReader::new(connection),
        })
    }

    fn send(&mut self, line: &str, headers: &str) -> Result<(), Box<dyn Error>> {
        let request = format!("{line} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}\r\n");
        self.connection.get_mut().write_all(request.as_bytes())?;
        Ok(())
    }

    /// Returns the head of the next answer once its body has arrived too.
    fn receive(&mut self) -> Result<String, Box<dyn Error>> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.connection.read_line(&mut head)? == 0 {
                return Err("the server has gone away".into());
            }
        }
        let (_, length) = head.split_once("content-length: ").ok_or("no length")?;
        let (length, _) = length.split_once('\r').ok_or("no length")?;
        let mut body = vec![0; length.parse()?];
        self.connection.read_exact(&mut body)?;
        Ok(head)
    }
}

fn in_process() -> (Delays, Delays) {
    let work = Work::default();
    let (mut held, mut polled) = (Vec::new(), Vec::new());
    let mut service = jobs(work.clone());
    let ended = async |call: JoinHandle<Duration>| {
        settle().await;
        work.gate.notify_one();
        call.await.expect("it does not panic")
    };
    runtime().block_on(async {
        for _ in 0..TURNS + WARM_UP {
            let call = work.clone();
            let call = tokio::spawn(async move {
                let response = Response::new(hold_for(call.clone()).await);
                assert_eq!(response.body().len(), 1024);
                call.delay()
            });
            held.push(ended(call).await);
            let poll = poll_of(&submit(&mut service).await);
            let (answer, clock) = (service.call(poll), work.clone());
            let call = tokio::spawn(async move {
                let Ok(response) = answer.await;
                let delay = clock.delay();
                assert_eq!(response.status(), StatusCode::OK);
                delay
            });
            polled.push(ended(call).await);
        }
    });
    (Delays::of(held), Delays::of(polled))
}

// ---------------------------------------------------------------------------- memory

/// The tasks that wait for their gate.
struct Waiters {
    gate: Arc<Notify>,
    tasks: Vec<JoinHandle<()>>,
}

type Make = fn() -> Making;
type Making = Pin<Box<dyn Future<Output = Waiters>>>;

/// Prints the memory of each waiter of this name.
fn hold(name: &str) {
    let (_, make) = HELD
        .into_iter()
        .find(|(known, _)| *known == name)
        .expect("a name");
    let runtime = warm_runtime();
    let region = Region::new(ALLOCATOR);
    let before = resident().unwrap_or(0);
    let waiters = runtime.block_on(async {
        let waiters = make().await;
        // Waits until each task has been polled.
        for _ in 0..WAITERS {
            yield_now().await;
        }
        waiters
    });
    let change = region.change();
    let requested = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
    let grown = resident().unwrap_or(0).saturating_sub(before) as f64;
    let begun = Instant::now();
    runtime.block_on(async {
        waiters.gate.notify_waiters();
        for task in waiters.tasks {
            task.await.expect("it is answered");
        }
    });
    println!(
        "| {name} | {:.0} bytes | {:.0} bytes | {:.0} ms |",
        requested / WAITERS as f64,
        grown / WAITERS as f64,
        begun.elapsed().as_secs_f64() * 1e3,
    );
}

/// Spawns tasks that wait for the `Notify` itself.
fn waiters_by_hand() -> Making {
    Box::pin(async {
        let gate = Arc::new(Notify::new());
        let wait = |_| {
            let gate = gate.clone();
            tokio::spawn(async move {
                gate.notified().await;
                Response::new(Body::default());
            })
        };
        let tasks = (0..WAITERS).map(wait).collect();
        Waiters { gate, tasks }
    })
}

fn waiters_on_one_job() -> Making {
    Box::pin(async {
        let work = Work::default();
        let mut service = jobs(work.clone());
        let accepted = submit(&mut service).await;
        let mut wait = |_| answered(service.call(poll_of(&accepted)));
        let tasks = (0..WAITERS).map(&mut wait).collect();
        let gate = work.gate;
        Waiters { gate, tasks }
    })
}

fn waiters_on_jobs() -> Making {
    Box::pin(async {
        let work = Work::default();
        let mut service = jobs(work.clone());
        let mut tasks = Vec::with_capacity(WAITERS);
        for _ in 0..WAITERS {
            let accepted = submit(&mut service).await;
            tasks.push(answered(service.call(poll_of(&accepted))));
        }
        let gate = work.gate;
        Waiters { gate, tasks }
    })
}

/// Spawns a task that waits for the answer.
fn answered<R: 'static>(
    answer: impl Future<Output = Result<Response<R>, Infallible>> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let Ok(response) = answer.await;
        assert_eq!(response.status(), StatusCode::OK);
    })
}

// ---------------------------------------------------------------------------- the service

/// Creates the layer over a handler that does the work.
fn jobs(
    work: Work,
) -> impl Service<
    Request<Body>,
    Response = Response<impl Sized + 'static>,
    Error = Infallible,
    Future: Send + 'static,
> {
    let handler = service_fn(move |_: Request<JobBody<Body>>| {
        let work = work.clone();
        async move { Ok::<_, Infallible>(Response::new(Body::new(work.run().await))) }
    });
    layer().layer(handler)
}

async fn submit<S, R>(service: &mut S) -> Response<R>
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible>,
{
    let submission = request(Method::POST, "/report", Headers::Zero);
    let Ok(accepted) = service.call(submission).await;
    assert_eq!(accepted.status(), StatusCode::SEE_OTHER);
    accepted
}

/// Creates a poll of the job that asks to be held.
fn poll_of<R>(accepted: &Response<R>) -> Request<Body> {
    let location = accepted.headers()[LOCATION].to_str().expect("text");
    let mut poll = request(Method::GET, location, Headers::Zero);
    let wait = HeaderValue::from_static("wait=3600");
    poll.headers_mut().insert("prefer", wait);
    poll
}
