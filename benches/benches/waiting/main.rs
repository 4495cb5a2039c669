//! The costs of waiting: many clients that poll for slow work, compared with as many connections that are
//! held until the work is done, and the lateness of their answers.
//!
//! ```text
//! cargo bench -p benches --bench waiting
//! ```
//!
//! Each case is a server process and a client process on loopback, both of this binary. The server is
//! hyper's HTTP/1 on tokio's multi-threaded runtime. Its handler sleeps, and answers with the time at
//! which it woke. Each client has its own connection pool, like a client in a separate process. Memory and
//! open sockets are those of the server while all clients wait. CPU is the server's user and system time
//! from the first submission to the last answer. Lateness is the time from the end of the handler until
//! the client has read the answer.
//!
//! A run takes just over two minutes, and each process up to 9,100 file descriptors. The soft limit is
//! raised to the hard limit, which `ulimit -Hn` shows. Ports do not run out: each server has its own, and
//! a client's port is free as soon as the server has closed the connection.

mod client;
mod process;
mod report;
mod server;
mod tls;

use std::{
    env,
    error::Error,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use client::{Kind, Lateness};
use process::Process;
use report::Waiting;
use server::Answering;
use tls::Identity;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The duration of the work that clients wait for.
const WORK: Duration = Duration::from_secs(10);

/// The number of jobs from which a server learns the duration of its work.
const LESSONS: usize = 16;

/// Clients that wait for a server's work.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    client: Kind,
    answering: Answering,
    tls: bool,
}

const CASES: [Case; 7] = [
    case("held connections", Kind::Reqwest, Answering::Held, false),
    case("polls by hyper", Kind::Hyper, Answering::Jobs, false),
    case("polls by reqwest", Kind::Reqwest, Answering::Jobs, false),
    case(
        "polls by reqwest, after the inline wait of 1 s",
        Kind::Unasking,
        Answering::Jobs,
        false,
    ),
    case("naive holders", Kind::Naive, Answering::Jobs, false),
    case("held connections, TLS", Kind::Hyper, Answering::Held, true),
    case("polls by hyper, TLS", Kind::Hyper, Answering::Jobs, true),
];

/// Clients with all defaults, of which only the lateness of their answers is measured.
const SHORT: Case = case("short work", Kind::Unasking, Answering::Jobs, false);

/// The duration of their work.
const SHORT_WORK: Duration = Duration::from_secs(2);

const fn case(name: &'static str, client: Kind, answering: Answering, tls: bool) -> Case {
    Case {
        name,
        client,
        answering,
        tls,
    }
}

impl Case {
    /// The number of concurrent clients. With TLS, it is limited by the handshakes on two cores.
    const fn clients(self) -> usize {
        if self.tls { 3_000 } else { 9_000 }
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server", answering, transport, work, all] => server::run(answering, transport, work, all),
        ["client", kind, url, clients, within] => client::run(kind, url, clients, within),
        // `cargo test --benches` runs this too, without that argument.
        _ if !arguments.iter().any(|argument| argument == "--bench") => Ok(()),
        _ => measure(),
    }
}

fn measure() -> Outcome<()> {
    let _identity = Identity::create()?;
    // All servers learn concurrently, since this takes as long as the work, while the first is measured.
    let start = |case, work| thread::spawn(move || Server::start(case, work));
    let short = start(SHORT, SHORT_WORK);
    let servers = CASES.map(|case| start(case, WORK));
    let mut waiting = Vec::new();
    print!("{}", report::HEADER);
    for (case, server) in CASES.into_iter().zip(servers) {
        match wait_for_work(case, server.join().expect("no panic")?) {
            Ok(measured) => {
                println!("{}", report::row(&measured));
                waiting.push(measured);
            }
            Err(error) => eprintln!("{}: {error}", case.name),
        }
    }
    let short = short.join().expect("no panic")?;
    let lateness = |clients, seconds| {
        let within = Duration::from_secs(seconds);
        short.late(SHORT.client, clients, within)
    };
    println!();
    print!(
        "{}",
        report::goals(&waiting, lateness(300, 6)?, lateness(8_000, 8)?)
    );
    Ok(())
}

/// A server process and its address.
struct Server {
    process: Process,
    url: String,
}

impl Server {
    /// Starts a server. It learns the duration of its work first, if it uses that.
    fn start(case: Case, work: Duration) -> Outcome<Self> {
        let (scheme, transport) = match case.tls {
            true => ("https", "tls"),
            false => ("http", "plain"),
        };
        let work = work.as_millis().to_string();
        let all = case.clients().to_string();
        let arguments = ["server", case.answering.name(), transport, &work, &all];
        let mut process = Process::start(&arguments)?;
        let address: SocketAddr = process.line()?.parse()?;
        // The certificate is for this name.
        let url = format!("{scheme}://localhost:{}/report", address.port());
        let server = Self { process, url };
        if case.answering == Answering::Jobs {
            server.late(case.client, LESSONS, Duration::ZERO)?;
        }
        Ok(server)
    }

    /// Starts clients that submit work within a time, one submission each.
    fn clients(&self, kind: Kind, clients: usize, within: Duration) -> Outcome<Process> {
        let (clients, within) = (clients.to_string(), within.as_millis().to_string());
        Process::start(&["client", kind.name(), &self.url, &clients, &within])
    }

    /// Returns the lateness of the answers of such clients.
    fn late(&self, kind: Kind, clients: usize, within: Duration) -> Outcome<Lateness> {
        self.clients(kind, clients, within)?.line()?.parse()
    }
}

/// Starts all clients, and measures the server while they wait.
fn wait_for_work(case: Case, mut server: Server) -> Outcome<Waiting> {
    let cpu_before = server.process.cpu()?;
    let begun = Instant::now();
    let within = Duration::from_secs(5);
    let mut clients = server.clients(case.client, case.clients(), within)?;
    // The server has started the work of all clients, and then the inline wait of the last one ends.
    server.process.line()?;
    thread::sleep(Duration::from_millis(1_300));
    let (memory, sockets) = (server.process.resident()?, server.process.sockets()?);
    if begun.elapsed() >= WORK {
        return Err("the machine was too busy for all to wait at once".into());
    }
    let lateness = clients.line()?.parse()?;
    Ok(Waiting {
        case,
        sockets,
        memory,
        cpu: server.process.cpu()? - cpu_before,
        lateness,
    })
}
