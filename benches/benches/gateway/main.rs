//! The costs of `job-gateway` beside nginx before the same server, in the same run.
//!
//! ```text
//! cargo build --release -p job-gateway
//! cargo bench -p benches --bench gateway                    # CPU of a request, instructions and waiting
//! cargo bench -p benches --bench gateway -- requests        # CPU alone, 50 s
//! cargo bench -p benches --bench gateway -- instructions    # needs valgrind
//! cargo bench -p benches --bench gateway -- waiting         # 8,000 requests that wait, a minute
//! ```
//!
//! The gateway, with one thread, and nginx, with one process, have one core, and take turns on it. The
//! clients and the server behind both have another core: they write prepared bytes, so that they are
//! faster than what is measured. This needs nginx (`apt-get install nginx-light`), two cores and
//! `taskset`.

mod instructions;
mod load;
mod program;
mod requests;
mod servers;
mod upstream;
mod waiting;

use std::{
    env,
    error::Error,
    process::{Command, ExitCode},
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The core of the gateway and of nginx.
const MEASURED_CORE: &str = "0";

/// The core of the clients and of the server.
const OTHER_CORE: &str = "1";

const MEASUREMENTS: [&str; 3] = ["requests", "instructions", "waiting"];

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let named = |name: &str| arguments.iter().any(|argument| argument == name);
    if let [first, measurement] = &arguments[..]
        && first == "measure"
    {
        return measure(measurement);
    }
    // `cargo test --benches` runs this too, without that argument.
    if !named("--bench") {
        return Ok(());
    }
    let all = !MEASUREMENTS.iter().any(|name| named(name));
    for name in MEASUREMENTS {
        if all || named(name) {
            measure_apart(name)?;
        }
    }
    Ok(())
}

/// Measures in a process that has a core of its own, and as many files as it may have.
fn measure_apart(name: &str) -> Outcome<()> {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        benches::process::WITH_ALL_FILES,
        "taskset",
        "-c",
        OTHER_CORE,
    ]);
    command.arg(env::current_exe()?).args(["measure", name]);
    match command.status()?.success() {
        true => Ok(()),
        false => Err(format!("the measurement of {name} has failed").into()),
    }
}

fn measure(name: &str) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match name {
            "requests" => requests::measure().await,
            "instructions" => instructions::measure().await,
            _ => waiting::measure().await,
        }
    })
}
