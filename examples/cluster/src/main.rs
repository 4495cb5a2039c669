//! Fronts and workers on one store: any node answers any poll, and any of them may die.
//!
//! ```text
//! $ cargo run -p cluster -- demo                     # two fronts and two workers, killed in turn
//! ```
//!
//! A front accepts requests, and stores them with their jobs. A worker runs jobs. Both answer probes at
//! `/readyz` and `/livez`. By hand, each of these in a terminal of its own:
//!
//! ```text
//! $ export STORE=sqlite:jobs.db                      # or postgres://…, redis://…
//! $ cargo run -p cluster -- node --role front --listen 127.0.0.1:3000
//! $ cargo run -p cluster -- node --role front --listen 127.0.0.1:3001
//! $ cargo run -p cluster -- node --role worker --listen 127.0.0.1:3002
//! $ curl -i --json '{"pages": 300}' http://127.0.0.1:3000/reports/2026      # Location: /work/…
//! $ curl -L 'http://127.0.0.1:3001/work/…'                                  # at the other front
//! ```
//!
//! The application is that of the example `durable`, and knows nothing of this. `docs/cluster.md` has the
//! load balancer, the probes, and what clients see if a part fails.

use std::{
    env,
    net::SocketAddr,
    process::{self, ExitCode},
    time::Duration,
};

use anyhow::Context;
use axum::{Router, middleware::map_response, response::Response, routing::get};
use clap::{Args, Parser, ValueEnum};
use cluster::{NODE, demo, open};
use durable::{Archive, routes, serve};
use http::HeaderValue;
use tokio::net::TcpListener;
use tower_async_job::{AsyncJobLayer, Role};

/// Nodes that share their jobs by a store.
#[derive(Parser)]
enum Command {
    /// Runs a node until SIGTERM. It serves POST /reports/YEAR, with the JSON {"pages": N}. A report
    /// takes 100 ms per page.
    Node(NodeArgs),
    /// Starts two fronts and two workers, and kills each of them while clients wait for reports.
    Demo {
        /// The store, as of a node. Default: a SQLite file in a temporary folder.
        #[arg(long, value_name = "URL", env = "STORE", hide_env_values = true)]
        store: Option<String>,
    },
}

#[derive(Args)]
struct NodeArgs {
    /// The part of the work that the node does.
    #[arg(long, default_value = "both")]
    role: NodeRole,
    /// The store that all nodes share: sqlite:FILE, postgres://… or redis://…. Every user of the
    /// machine can read command lines, so give an address with a password by the environment.
    #[arg(long, value_name = "URL", env = "STORE", hide_env_values = true)]
    store: String,
    /// The address and port to listen on; port 0 selects a free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The name of the node, which is in the answers of the handlers that it runs. Default: the
    /// number of its process.
    #[arg(long)]
    name: Option<HeaderValue>,
    /// The number of jobs that a worker runs at once.
    #[arg(long, value_name = "JOBS", default_value = "64")]
    concurrency: usize,
    /// The time after which the jobs of a node that died are run by another, in seconds. All nodes
    /// must have the same.
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    lease: u64,
    /// The time for which running jobs may continue after SIGTERM, in seconds. A second SIGTERM
    /// ends it.
    #[arg(long, value_name = "SECONDS", default_value = "25")]
    grace: u64,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum NodeRole {
    /// Accepts requests, and runs no jobs.
    Front,
    /// Runs jobs.
    Worker,
    /// Accepts requests, and runs its own jobs and those of nodes that died.
    Both,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let ended = match Command::parse() {
        Command::Node(args) => node(args).await,
        Command::Demo { store } => match env::current_exe() {
            Ok(program) => demo(&program, store).await,
            Err(error) => Err(error.into()),
        },
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn node(args: NodeArgs) -> anyhow::Result<()> {
    let name = args.name.unwrap_or_else(|| process::id().into());
    let routes = signed(routes(Archive::default()), name);

    let role = match args.role {
        NodeRole::Front => Role::Front,
        NodeRole::Worker => Role::Worker,
        NodeRole::Both => Role::Both,
    };
    let jobs = AsyncJobLayer::builder()
        .store(open(&args.store, Duration::from_secs(args.lease)).await?) // 1: all nodes share the jobs
        .replay_when(|request| request.uri.path().starts_with("/reports/")) // 2: and their requests,
        .role(role) //                                                         3: which fronts offer
        .build()?;

    let mut app = Router::new()
        .route_service("/readyz", jobs.readiness())
        .route("/livez", get("alive\n"));
    if args.role != NodeRole::Worker {
        app = app
            .merge(routes.clone().layer(jobs.clone()))
            .nest_service("/work", jobs.resource());
    }
    if args.role != NodeRole::Front {
        let worker = jobs.worker(routes).concurrency(args.concurrency);
        tokio::spawn(worker.run()); //                                         4: and workers run
    }

    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, app, jobs, Duration::from_secs(args.grace)).await?;
    Ok(())
}

/// Adds the name of the node that called the handler to each answer.
fn signed(routes: Router, name: HeaderValue) -> Router {
    routes.layer(map_response(move |mut response: Response| {
        response.headers_mut().insert(NODE, name.clone());
        async { response }
    }))
}
