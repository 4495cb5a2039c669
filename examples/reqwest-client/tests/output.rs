//! Runs the client against a server whose answer needs polls.

use std::{net::Ipv4Addr, time::Duration};

use axum::{Router, routing::post};
use tokio::{net::TcpListener, process::Command, time::sleep};
use tower_async_job::{AsyncJobLayer, HalfElapsed};

async fn server() -> String {
    let jobs = AsyncJobLayer::builder()
        .inline_wait(Duration::ZERO)
        .estimator(HalfElapsed::between(
            Duration::from_millis(50),
            Duration::from_secs(1),
        ))
        .build()
        .unwrap();
    let report = async || {
        sleep(Duration::from_millis(100)).await;
        "the report\n"
    };
    let app = Router::new().route("/report", post(report)).layer(jobs);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    url
}

#[tokio::test]
async fn the_answer_of_a_job_is_printed() {
    let url = server().await;
    let output = Command::new(env!("CARGO_BIN_EXE_reqwest-client"))
        .arg(format!("{url}/report"))
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "the report\n");
}

#[tokio::test]
async fn an_error_status_makes_it_fail() {
    let url = server().await;
    let output = Command::new(env!("CARGO_BIN_EXE_reqwest-client"))
        .arg(format!("{url}/nowhere"))
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("404 Not Found"), "{errors}");
}
