//! The examples in Python and shell.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use http::{Request, StatusCode};
use http_body_util::Full;
use test_services::{Missing, available, program};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{ChildStdout, Command},
    time::sleep,
};

use crate::{
    party::free_port,
    support::{Gateway, command, get, send, soon},
    worker::{Worker, document},
};

/// Finds a program, or prints that the test is not run.
fn found(name: &str) -> Option<PathBuf> {
    let found = program(&[name]);
    available(found.map_err(|reason| Missing::new(name, reason)))
}

fn file(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    file.to_str().unwrap().to_owned()
}

fn output(command: &mut Command) -> (tokio::process::Child, Lines<BufReader<ChildStdout>>) {
    let command = command.kill_on_drop(true).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let output = process.stdout.take().unwrap();
    (process, BufReader::new(output).lines())
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = soon(lines.next_line()).await.unwrap();
    line.expect("a line")
}

async fn post(gateway: &Gateway) -> String {
    let request = Request::post(gateway.url("/")).body(Full::from("{}"));
    let pending = send(request.unwrap()).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    pending.header("location").to_owned()
}

/// Waits for progress of a job, and cancels it.
async fn cancel(gateway: &Gateway, job: &str) {
    let reported = async {
        loop {
            let document = document(gateway, job).await;
            if document["progress"]["done"].as_u64() > Some(0) {
                assert!(document["progress"]["message"].is_string(), "{document}");
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    soon(reported).await;
    let cancel = Request::delete(gateway.url(job)).body(Full::default());
    let cancelled = send(cancel.unwrap()).await;
    assert_eq!(cancelled.header("job-status"), "cancelled");
}

#[tokio::test]
async fn a_server_in_python_stops_its_work() {
    let Some(python) = found("python3") else {
        return;
    };
    let (server, examples) = (file("tests/progress/server.py"), file("examples"));
    let mut command = Command::new(python);
    command.args([server, examples]).stderr(Stdio::null());
    let (_process, mut lines) = output(&mut command);
    let upstream = format!("http://127.0.0.1:{}", next(&mut lines).await);
    let gateway = Gateway::before(&upstream, &["--inline-wait", "100ms"]).await;
    // Its only thread is free again after each.
    for _ in 0..2 {
        let job = post(&gateway).await;
        cancel(&gateway, &job).await;
        assert_eq!(next(&mut lines).await, "stopped");
    }
}

#[tokio::test]
async fn a_script_of_the_shell_stops_its_work() {
    let Some(_) = found("curl") else {
        return;
    };
    let mut worker = Worker::start().await;
    let wait = ["--inline-wait", "100ms"];
    let gateway = Gateway::before(&worker.upstream.url(), &wait).await;
    let job = post(&gateway).await;
    let script = r#"
        . "$1"
        for step in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            report "{\"done\": $step, \"total\": 20, \"message\": \"step\"}" || { echo stopped; exit; }
            sleep 0.3
        done
    "#;
    let mut command = Command::new("sh");
    command.args(["-euc", script, "sh", &file("examples/progress.sh")]);
    command.env("HTTP_JOB_PROGRESS_URL", worker.url().await);
    let (_process, mut lines) = output(&mut command);
    cancel(&gateway, &job).await;
    assert_eq!(next(&mut lines).await, "stopped");
}

#[tokio::test]
async fn a_server_in_python_delivers_its_result_later() {
    let Some(python) = found("python3") else {
        return;
    };
    let manual = std::fs::read_to_string(file("../../docs/gateway.md")).unwrap();
    let example = file("examples/result_later.py");
    let text = std::fs::read_to_string(&example).unwrap();
    assert!(manual.contains(&text), "the manual shows the example");
    let ports = [(); 2].map(|()| free_port().to_string());
    let mut server = Command::new(python);
    server.args([&example, &ports[0]]).stderr(Stdio::null());
    let _server = server.kill_on_drop(true).spawn().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = format!(
        "store = \"sqlite:{}\"\n[upstreams.app]\nurl = \"http://127.0.0.1:{}\"\n\
        [progress]\nlisten = \"127.0.0.1:{port}\"\nurl = \"http://127.0.0.1:{port}\"\n\
        [defaults]\nresult_later = true\nreplay = \"all\"\n",
        folder.path().join("jobs.db").display(),
        ports[0],
        port = ports[1],
    );
    let config = folder.path().join("gateway.toml");
    std::fs::write(&config, settings).unwrap();
    let config = config.to_str().unwrap();
    let mut command = command(["--config", config, "--listen", "127.0.0.1:0"]);
    command.stderr(Stdio::piped());
    let mut gateway = Gateway::start(command).await;
    let job = post(&gateway).await;
    let done = async {
        loop {
            let answer = get(gateway.url(&job)).await;
            if answer.header("job-status") == "done" {
                return answer;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    assert_eq!(soon(done).await.text(), "{}");
    gateway.signal(rustix::process::Signal::TERM);
    let mut log = String::new();
    soon(gateway.log().read_to_string(&mut log)).await.unwrap();
    let ends = log
        .lines()
        .filter(|line| line.contains(r#""message":"job""#));
    let ends: Vec<serde_json::Value> = ends
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [done] = &ends[..] else {
        panic!("{log}");
    };
    assert_eq!(done["state"], "done", "{log}");
    assert!(done["handle"].is_string(), "{log}");
}
