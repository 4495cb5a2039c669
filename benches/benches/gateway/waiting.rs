//! The memory and the sockets of many requests that wait.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};

use benches::process::sockets;

use crate::{
    Outcome,
    load::{Client, request, send_times},
    program::Memory,
    requests::{judged, plain},
    servers::{self, Server, Terms},
    upstream::Upstream,
};

/// The number of requests that wait at once.
const WAITING: usize = 8_000;

/// The number of requests that a weak server gets at once.
const CONCURRENCY: usize = 64;

/// The maximum time until all wait, and until all have their answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// The limit of a job's memory, as a share of that of a request that nginx holds.
const LIMIT: f64 = 0.1;

/// The caches of the kernel that have a part for each socket.
const SOCKET_CACHES: [&str; 5] = [
    "TCP",
    "sock_inode_cache",
    "filp",
    "eventpoll_epi",
    "eventpoll_pwq",
];

/// The way in which clients wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// On the connection of their request.
    Held,
    /// They poll a job.
    Polling,
}

/// The figures while all wait.
struct Waiting {
    sockets: usize,
    /// The memory of one that waits in bytes: resident, proportional and of the kernel.
    resident: f64,
    proportional: f64,
    kernel: f64,
}

pub(crate) async fn measure() -> Outcome<()> {
    println!(
        "| goal | {WAITING} requests that wait | sockets | resident, each | proportional, each | \
         kernel, each | ratio to nginx | limit | kept |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---|"
    );
    let terms = Terms::default();
    let limited = Terms {
        concurrency: Some(CONCURRENCY),
        ..terms
    };
    let upstream = Upstream::start().await?;
    let address = upstream.address;
    let nginx = wait(
        "GET /held/report",
        Way::Held,
        CONCURRENCY,
        &upstream,
        servers::nginx(address, terms)?,
    );
    let nginx = nginx.await?;
    println!("{}", row("held by nginx", &nginx, None, None));
    for (name, line, way, at_once, terms, limit) in [
        (
            "jobs, `concurrency = 64`",
            "POST /held",
            Way::Polling,
            CONCURRENCY,
            limited,
            Some(LIMIT),
        ),
        (
            "jobs, without a limit",
            "POST /held",
            Way::Polling,
            WAITING,
            terms,
            None,
        ),
        (
            "held by the gateway, `defer = false`",
            "GET /held/report",
            Way::Held,
            WAITING,
            terms,
            None,
        ),
    ] {
        let gateway = servers::gateway(address, terms)?;
        let waiting = wait(line, way, at_once, &upstream, gateway).await?;
        println!("{}", row(name, &waiting, Some(&nginx), limit));
    }
    Ok(())
}

/// Lets clients wait, measures the server meanwhile, and gives all of them their answers.
async fn wait(
    line: &str,
    way: Way,
    at_once: usize,
    upstream: &Upstream,
    server: Server,
) -> Outcome<Waiting> {
    send_times(server.address, &plain(), "200", 1_600).await?;
    upstream.hold();
    sleep(Duration::from_millis(200)).await;
    let (before, kernel_before) = (server.program.memory()?, kernel_memory());
    let waiting = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    let prefer = match way {
        Way::Held => "x-request-id: 0123456789abcdef",
        Way::Polling => "prefer: respond-async\r\ncontent-length: 0",
    };
    let request: Arc<[u8]> = request(line, prefer).into();
    for _ in 0..WAITING {
        let client = Client::connect(server.address).await?;
        let (request, waiting) = (request.clone(), waiting.clone());
        clients.spawn(async move {
            waiting.fetch_add(usize::from(way == Way::Held), Ordering::Relaxed);
            call(client, &request, &waiting).await
        });
        // The queue of connections stays short.
        if clients.len() % 16 == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    }
    let all = match way {
        Way::Held => WAITING,
        Way::Polling => at_once,
    };
    until(|| waiting.load(Ordering::Relaxed) == WAITING && upstream.held() >= all).await?;
    sleep(Duration::from_secs(2)).await;
    let (memory, kernel) = (server.program.memory()?, kernel_memory());
    let sockets = sockets(server.program.id())?;
    // The clients and the server have as many of them.
    let kernel = kernel
        .zip(kernel_before)
        .map_or(f64::NAN, |(now, before)| (now - before) / 2.0);
    upstream.release();
    let answers = async {
        while let Some(answered) = clients.join_next().await {
            answered??;
        }
        Outcome::Ok(())
    };
    let answers = tokio::time::timeout(PATIENCE, answers).await;
    answers.map_err(|_| "not all have had their answers in time")??;
    let each = |of: fn(&Memory) -> u64| (of(&memory) as f64 - of(&before) as f64) / WAITING as f64;
    Ok(Waiting {
        sockets,
        resident: each(|memory| memory.resident),
        proportional: each(|memory| memory.proportional),
        kernel: kernel / WAITING as f64,
    })
}

/// Sends a request. Polls its job, at the announced times and on connections of their own, until it
/// has ended.
async fn call(mut client: Client, request: &[u8], waiting: &AtomicUsize) -> Outcome<()> {
    let mut answer = client.send(request).await?;
    if answer.status() == "303" {
        waiting.fetch_add(1, Ordering::Relaxed);
    }
    while answer.status() == "303" {
        let location = answer.field("location").ok_or("no Location")?;
        let poll =
            crate::load::request(&format!("GET {location}"), "x-request-id: 0123456789abcdef");
        let seconds: u64 = answer
            .field("retry-after")
            .ok_or("no Retry-After")?
            .parse()?;
        let address = client.address()?;
        drop(client);
        sleep(Duration::from_secs(seconds)).await;
        client = Client::connect(address).await?;
        answer = client.send(&poll).await?;
    }
    match answer.status() {
        "200" => Ok(()),
        status => Err(format!("a client was answered with {status}").into()),
    }
}

async fn until(is_so: impl Fn() -> bool) -> Outcome<()> {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > PATIENCE {
            return Err("not all wait in time".into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Returns the bytes of the kernel's caches for sockets, if it shows them.
fn kernel_memory() -> Option<f64> {
    let caches = fs::read_to_string("/proc/slabinfo").ok()?;
    let bytes = caches.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let name = fields.next()?;
        let objects: f64 = fields.next()?.parse().ok()?;
        let size: f64 = fields.nth(1)?.parse().ok()?;
        SOCKET_CACHES.contains(&name).then_some(objects * size)
    });
    Some(bytes.sum())
}

fn row(name: &str, waiting: &Waiting, nginx: Option<&Waiting>, limit: Option<f64>) -> String {
    let all = |waiting: &Waiting| waiting.resident + waiting.kernel.max(0.0);
    let ratio = nginx.map(|nginx| all(waiting) / all(nginx));
    let (limit, kept) = ratio.map_or_else(Default::default, |ratio| judged(ratio, limit));
    let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    let kib = |bytes: f64| format!("{:.1} KiB", bytes / 1024.0);
    format!(
        "| 36 | {name} | {} | {} | {} | {} | {ratio} | {limit} | {kept} |",
        waiting.sockets,
        kib(waiting.resident),
        kib(waiting.proportional),
        kib(waiting.kernel),
    )
}
