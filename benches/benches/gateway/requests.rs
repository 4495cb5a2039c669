//! The CPU of a request, in turns of the gateway and nginx.

use std::time::{Duration, Instant};

use benches::process::times;

use crate::{
    Outcome,
    load::{Client, request, send_for},
    servers::{self, Server, Terms},
    upstream::Upstream,
};

/// The duration of a turn.
const TURN: Duration = Duration::from_millis(500);

const TURNS: usize = 8;

/// A kind of request to the gateway.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The requests that nginx passes on are lines of a file. Those of the gateway always are.
    pub(crate) logs: bool,
    pub(crate) kind: Kind,
    /// The limit of the gateway's CPU, as a share of that of a request that nginx passes on.
    limit: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Inline,
    PendingPoll,
    EndedPoll,
    Submission,
}

pub(crate) const CASES: [Case; 5] = [
    case("inline, nginx without a log", false, Kind::Inline, None),
    case("inline", true, Kind::Inline, Some(1.4)),
    case(
        "a poll of a pending job",
        true,
        Kind::PendingPoll,
        Some(0.7),
    ),
    case("a poll of an ended job", true, Kind::EndedPoll, Some(0.7)),
    case("a submission, and its run", true, Kind::Submission, None),
];

const fn case(name: &'static str, logs: bool, kind: Kind, limit: Option<f64>) -> Case {
    Case {
        name,
        logs,
        kind,
        limit,
    }
}

impl Kind {
    /// Returns the request to the gateway, and the status of its answers.
    pub(crate) async fn request(self, gateway: &Server) -> Outcome<(Vec<u8>, &'static str)> {
        let (path, status) = match self {
            Self::Inline => return Ok((plain(), "200")),
            Self::Submission => {
                let submission =
                    request("POST /brief", "prefer: respond-async\r\ncontent-length: 0");
                return Ok((submission, "303"));
            }
            Self::PendingPoll => ("/held", "303"),
            Self::EndedPoll => ("/brief", "200"),
        };
        let mut client = Client::connect(gateway.address).await?;
        let submission = request(
            &format!("POST {path}"),
            "prefer: respond-async\r\ncontent-length: 0",
        );
        let answer = client.send(&submission).await?;
        let location = answer.field("location").ok_or("no job")?.to_owned();
        let poll = |prefer: &str| request(&format!("GET {location}"), prefer);
        let (once, repeated) = (poll("prefer: wait=20"), poll("prefer: wait=0"));
        if self == Self::EndedPoll {
            client.send(&once).await?;
        }
        // Answered at once, though it is early.
        Ok((repeated, status))
    }
}

/// Returns a request that both pass on.
pub(crate) fn plain() -> Vec<u8> {
    request("GET /report?page=1", "x-request-id: 0123456789abcdef")
}

/// The figures of a turn.
struct Turn {
    rate: f64,
    /// The CPU of a request in microseconds.
    cpu: f64,
    /// Its share in the kernel.
    kernel: f64,
}

pub(crate) async fn measure() -> Outcome<()> {
    let upstream = Upstream::start().await?;
    println!(
        "| goal | case | requests/s | CPU | in the kernel | nginx: requests/s | CPU | in the kernel | ratio | limit | kept |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|"
    );
    for case in &CASES {
        let terms = Terms {
            logs: case.logs,
            ..Terms::default()
        };
        let gateway = servers::gateway(upstream.address, terms)?;
        let nginx = servers::nginx(upstream.address, terms)?;
        upstream.hold();
        let (request, status) = case.kind.request(&gateway).await?;
        let plain = plain();
        let mut turns = Vec::new();
        for number in 0..=TURNS {
            let own = turn(&gateway, &request, status).await?;
            let of_nginx = turn(&nginx, &plain, "200").await?;
            // The first turns warm up.
            if number > 0 {
                turns.push((own, of_nginx));
            }
        }
        println!("{}", row(case, &turns));
        upstream.release();
    }
    Ok(())
}

async fn turn(server: &Server, request: &[u8], status: &'static str) -> Outcome<Turn> {
    let (cpu, kernel) = (server.program.cpu()?, times(server.program.id())?.kernel);
    let begun = Instant::now();
    let requests = send_for(server.address, request, status, TURN).await? as f64;
    let seconds = begun.elapsed().as_secs_f64();
    // The last run or line may follow its answer.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let cpu = (server.program.cpu()? - cpu).as_secs_f64();
    let kernel = (times(server.program.id())?.kernel - kernel).as_secs_f64();
    server.empty_log()?;
    Ok(Turn {
        rate: requests / seconds,
        cpu: 1e6 * cpu / requests,
        kernel: kernel / cpu,
    })
}

fn row(case: &Case, turns: &[(Turn, Turn)]) -> String {
    let own = |figure: fn(&Turn) -> f64| median(turns.iter().map(|(own, _)| figure(own)));
    let of_nginx = |figure: fn(&Turn) -> f64| median(turns.iter().map(|(_, nginx)| figure(nginx)));
    let ratio = median(turns.iter().map(|(own, nginx)| own.cpu / nginx.cpu));
    let (limit, kept) = judged(ratio, case.limit);
    format!(
        "| 35 | {} | {:.0} | {:.1} µs | {:.0} % | {:.0} | {:.1} µs | {:.0} % | {ratio:.2} | {limit} | {kept} |",
        case.name,
        own(|turn| turn.rate),
        own(|turn| turn.cpu),
        own(|turn| 100.0 * turn.kernel),
        of_nginx(|turn| turn.rate),
        of_nginx(|turn| turn.cpu),
        of_nginx(|turn| 100.0 * turn.kernel),
    )
}

/// Returns a limit in words, and whether a ratio keeps it.
pub(crate) fn judged(ratio: f64, limit: Option<f64>) -> (String, String) {
    let Some(limit) = limit else {
        return (String::new(), String::new());
    };
    let kept = match ratio <= limit {
        true => "yes".to_owned(),
        false => format!("no, {:.0} % over", 100.0 * (ratio / limit - 1.0)),
    };
    (format!("≤ {limit} ×"), kept)
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
