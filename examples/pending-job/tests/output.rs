//! Submits a job in one process and resumes it in another.

use std::{fs, net::Ipv4Addr, process::Stdio, sync::Arc, time::Duration};

use axum::{Router, routing::post};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::Command,
    sync::Notify,
};
use tower_async_job::{AsyncJobLayer, HalfElapsed, JobContext};

/// Serves a job that is half done until a notification ends it.
async fn server(end: Arc<Notify>) -> String {
    let jobs = AsyncJobLayer::builder()
        .estimator(HalfElapsed::between(
            Duration::from_millis(50),
            Duration::from_millis(100),
        ))
        .build()
        .unwrap();
    let report = async move |job: JobContext| {
        job.progress(0.5);
        end.notified().await;
        "the report\n"
    };
    let app = Router::new().route("/report", post(report)).layer(jobs);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    url
}

fn pending_job() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pending-job"));
    command.kill_on_drop(true);
    command
}

#[tokio::test]
async fn a_job_is_submitted_in_one_run_and_resumed_in_another() {
    let end = Arc::new(Notify::new());
    let url = server(end.clone()).await;
    let submit = pending_job()
        .arg("submit")
        .arg(format!("{url}/report"))
        .output();
    let submitted = submit.await.unwrap();
    let errors = String::from_utf8_lossy(&submitted.stderr);
    assert!(submitted.status.success(), "{errors}");
    let json = String::from_utf8(submitted.stdout).unwrap();
    assert!(json.starts_with(r#"{"version":1,"#), "{json}");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("job.json");
    fs::write(&file, json).unwrap();
    let mut resumed = pending_job()
        .arg("resume")
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(resumed.stderr.take().unwrap()).lines();
    let progress = lines.next_line().await.unwrap().unwrap();
    assert!(progress.starts_with("50 %"), "{progress}");
    end.notify_one();
    let resumed = resumed.wait_with_output().await.unwrap();
    assert!(resumed.status.success());
    assert_eq!(String::from_utf8_lossy(&resumed.stdout), "the report\n");
}

#[tokio::test]
async fn what_is_no_job_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("job.json");
    let newer = r#"{"version":2,"url":"http://127.0.0.1/work/7","origin":"http://127.0.0.1/"}"#;
    fs::write(&file, newer).unwrap();
    for (file, expected) in [
        (file, "version 2"),
        (directory.path().join("none"), "cannot read"),
    ] {
        let output = pending_job().arg("resume").arg(file).output();
        let output = output.await.unwrap();
        assert!(!output.status.success());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(expected), "{errors}");
    }
}
