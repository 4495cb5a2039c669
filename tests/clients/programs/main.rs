//! Unchanged HTTP clients, which receive the results of jobs by following redirects: real programs with
//! their defaults, over real sockets.
//!
//! They follow a redirect immediately and limit the number of redirects. They succeed because the server
//! holds polls that arrive too early. `docs/clients.md` lists the limits of each client, and is compared
//! with the results of these tests.
//!
//! The recipes of `docs/recipes.md` are run as they stand there.
//!
//! The tests of a missing program are reported as ignored, with the reason, or fail if
//! `HTTP_POLLING_REQUIRE_SERVICES=1` is set.

mod program;
mod recipe;
mod site;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::http::Method;
use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::Runtime;

use self::{
    program::{Program, run},
    site::Site,
};

const DOCUMENT: &str = include_str!("../../../docs/clients.md");

fn main() {
    let mut arguments = Arguments::from_args();
    // The tests mostly wait, so that many run concurrently.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let mut trials = vec![
        trial(
            "curl_told_to_post_posts_to_the_job_and_is_not_allowed_to".to_owned(),
            Program::Curl,
            |_| insisting_on_post(),
        ),
        trial(
            "curl_continues_a_download_that_broke_off".to_owned(),
            Program::Curl,
            |_| continuing(),
        ),
        trial(
            "s76_wget_that_accepts_html_gets_the_result".to_owned(),
            Program::Wget,
            |_| accepting_html(),
        ),
    ];
    for program in Program::ALL {
        let (_, name) = program.names();
        let minutes = format!("{name}_gets_the_result_of_three_minutes");
        let seconds = format!("{name}_posts_and_gets_the_result_of_three_seconds");
        let limit = format!("{name}_follows_as_many_redirects_as_is_documented");
        trials.push(trial(minutes, program, three_minutes));
        trials.push(trial(seconds, program, three_seconds));
        trials.push(trial(limit, program, limits));
    }
    trials.extend(recipe::trials());
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial<F>(name: String, program: Program, test: fn(Program) -> F) -> Trial
where
    F: Future<Output = Result<()>> + 'static,
{
    Trial::ignorable_test(name, move || {
        if let Some(reason) = program.missing() {
            return test_services::not_run(&reason);
        }
        let outcome = Runtime::new()?.block_on(test(program));
        outcome.map_err(|error| format!("{error:#}"))?;
        Ok(Completion::Completed)
    })
}

async fn three_minutes(program: Program) -> Result<()> {
    let site = Site::hurried(Duration::from_secs(180)).await?;
    let result = program.call(&Method::GET, &site.url()).await;
    let result = result.with_context(|| format!("{:?}", site.requests()))?;
    ensure!(result == "the report", "{result}");
    // The polls were held, but never for longer than the layer's limit.
    let polls = site.requests().len() - 1;
    ensure!(polls >= 8, "{:?}", site.requests());
    Ok(())
}

async fn three_seconds(program: Program) -> Result<()> {
    let site = Site::slow(Duration::from_secs(3)).await?;
    let result = program.call(&Method::POST, &site.url()).await;
    let result = result.with_context(|| format!("{:?}", site.requests()))?;
    ensure!(result == "the report", "{result}");
    let requests = site.requests();
    ensure!(requests[0] == "POST /report", "{requests:?}");
    ensure!(requests.len() > 1, "{requests:?}");
    let polls = requests[1..].iter();
    ensure!(
        polls.clone().all(|poll| poll == "GET /work/{id}"),
        "{requests:?}"
    );
    Ok(())
}

async fn limits(program: Program) -> Result<()> {
    let (same, varying) = program.requests();
    for (varies, expected) in [(false, same), (true, varying)] {
        let site = Site::endless(varies).await?;
        ensure!(program.call(&Method::GET, &site.url()).await.is_err());
        let requests = site.requests().len();
        ensure!(requests == expected, "{requests}, varying: {varies}");
        ensure!(site.lasted() < Duration::from_secs(60), "it pauses");
    }
    let redirects = varying - 1;
    // The inline wait, and all redirects except the first, which may be due immediately.
    let outlasted = 1 + 25 * (redirects - 1);
    let row = format!(
        "| {} | {same} / {varying} | {redirects} | {}:{:02} |",
        program.names().0,
        outlasted / 60,
        outlasted % 60
    );
    ensure!(
        DOCUMENT.contains(&row),
        "docs/clients.md has no row {row:?}"
    );
    Ok(())
}

async fn accepting_html() -> Result<()> {
    let site = Site::slow(Duration::from_secs(3)).await?;
    let url = site.url();
    let quietly = ["--no-config", "-nv", "-O", "-"];
    let arguments = [&quietly[..], &["--header=Accept: text/html", &url]].concat();
    let result = run("wget", &arguments).await?;
    ensure!(result == "the report", "{result}");
    Ok(())
}

async fn insisting_on_post() -> Result<()> {
    let site = Site::slow(Duration::from_secs(3)).await?;
    let written = ["-q", "-sL", "-w", "%{http_code}", "-o", "/dev/null"];
    let url = site.url();
    let arguments = [&written[..], &["-X", "POST", &url]].concat();
    let status = run("curl", &arguments).await?;
    ensure!(status == "405", "{status}");
    let requests = site.requests();
    ensure!(
        requests == ["POST /report", "POST /work/{id}"],
        "{requests:?}"
    );
    Ok(())
}

async fn continuing() -> Result<()> {
    let site = Site::breaking().await?;
    let quietly = ["-q", "-s", "-o"];
    let url = site.url();
    let submission = [
        "-X",
        "POST",
        "-H",
        "Prefer: respond-async",
        "-w",
        "%{redirect_url}",
    ];
    let job = run(
        "curl",
        &[&quietly[..], &["/dev/null"], &submission, &[&url]].concat(),
    )
    .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("report");
    let path = file.to_str().context("not text")?;
    let download = [&quietly[..], &[path, "-C", "-", "-w", "%{http_code}", &job]].concat();
    ensure!(run("curl", &download).await.is_err());
    let begun = std::fs::metadata(&file)?.len();
    ensure!(begun > 0 && begun < site::LENGTH as u64, "{begun}");
    let status = run("curl", &download).await?;
    ensure!(status == "206", "{status}");
    ensure!(std::fs::read(&file)? == site::large());
    // A whole file is left as it is.
    run("curl", &download).await?;
    ensure!(std::fs::read(&file)? == site::large());
    Ok(())
}
