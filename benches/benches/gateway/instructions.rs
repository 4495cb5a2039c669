//! The instructions of a request in user space, which callgrind counts. They hardly depend on the load
//! of the machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    Outcome,
    load::send_times,
    requests::{CASES, Kind, judged, plain},
    servers::{self, Server, Terms},
    upstream::Upstream,
};

/// The number of requests that are counted.
const REQUESTS: u64 = 1_600;

/// The limit of an inline request, as a share of the instructions of nginx.
const LIMIT: f64 = 1.5;

pub(crate) async fn measure() -> Outcome<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gateway");
    // Callgrind numbers its files from one on.
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let upstream = Upstream::start().await?;
    println!(
        "| goal | case | instructions | nginx | ratio | limit | kept |\n\
         |---|---|---:|---:|---:|---:|---|"
    );
    for case in &CASES {
        let profile = folder.join(case.name.replace([' ', ','], "-"));
        fs::create_dir_all(&profile)?;
        let terms = Terms {
            logs: case.logs,
            profile: Some(&profile),
            ..Terms::default()
        };
        let gateway = servers::gateway(upstream.address, terms)?;
        upstream.hold();
        let (request, status) = case.kind.request(&gateway).await?;
        let own = count(&gateway, &profile.join("gateway"), &request, status).await?;
        drop(gateway);
        let nginx = servers::nginx(upstream.address, terms)?;
        let of_nginx = count(&nginx, &profile.join("nginx"), &plain(), "200").await?;
        let ratio = own / of_nginx;
        let (limit, kept) = judged(
            ratio,
            (case.logs && case.kind == Kind::Inline).then_some(LIMIT),
        );
        println!(
            "| 35 | {} | {own:.0} | {of_nginx:.0} | {ratio:.2} | {limit} | {kept} |",
            case.name
        );
        upstream.release();
    }
    println!(
        "\nProfiles for `callgrind_annotate --inclusive=yes` are in {}.",
        folder.display()
    );
    Ok(())
}

/// Counts the instructions of a request to a server.
async fn count(
    server: &Server,
    profile: &Path,
    request: &[u8],
    status: &'static str,
) -> Outcome<f64> {
    send_times(server.address, request, status, REQUESTS / 4).await?;
    dump(server, profile).await?;
    let sent = send_times(server.address, request, status, REQUESTS).await?;
    // The last run or line may follow its answer.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let part = dump(server, profile).await?;
    Ok(total(&part)? as f64 / sent as f64)
}

/// Writes the counts since the last time, and returns their file.
async fn dump(server: &Server, profile: &Path) -> Outcome<PathBuf> {
    let before = parts(profile)?;
    let mut command = Command::new("callgrind_control");
    command.args(["--dump", &server.program.id().to_string()]);
    let output = command.output()?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("callgrind counts nothing: {reason}").into());
    }
    for _ in 0..600 {
        let part = profile.with_extension((before + 1).to_string());
        if total(&part).is_ok() {
            return Ok(part);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("callgrind has written no profile".into())
}

/// Returns the number of parts of a profile that were written.
fn parts(profile: &Path) -> Outcome<usize> {
    let parts = (1..).take_while(|part| profile.with_extension(part.to_string()).exists());
    Ok(parts.count())
}

fn total(profile: &Path) -> Outcome<u64> {
    let text = fs::read_to_string(profile)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.ok_or("no totals")?.trim().parse()?)
}
