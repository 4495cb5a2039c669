//! The program by itself.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Result, ensure};
use cluster::{Balancer, Call, Cluster};
use http::{Method, StatusCode};
use tokio::{process::Command, time::sleep};

use crate::faults::request;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cluster");

pub(crate) async fn demonstration() -> Result<()> {
    let output = Command::new(PROGRAM)
        .arg("demo")
        .env_remove("STORE")
        .output()
        .await?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{output:?}");
    ensure!(printed.lines().count() <= 30, "{printed}");
    for node in ["front-1", "front-2", "worker-1", "worker-2"] {
        ensure!(printed.contains(&format!("kill -9 {node}")), "{printed}");
    }
    ensure!(printed.matches("200 OK").count() == 6, "{printed}");
    Ok(())
}

/// Waits until a probe is answered with this status.
async fn until(node: SocketAddr, path: &str, status: StatusCode) -> Result<()> {
    while request(Method::GET, node, path).await?.status() != status {
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

pub(crate) async fn probes() -> Result<()> {
    let cluster = Cluster::new(Path::new(PROGRAM), None)?;
    for role in ["front", "worker", "both"] {
        let node = cluster.start(role, &["--role", role]).await?;
        for path in ["/readyz", "/livez"] {
            let answer = request(Method::GET, node.address(), path).await?;
            ensure!(answer.status() == StatusCode::OK, "{answer:?}");
        }
    }
    let mut node = cluster.start("node", &[]).await?;
    let mut call = Call::start(&Balancer::new([node.address()], 0), 20, false);
    call.job().await;
    let address = node.address();
    let (ended, answer, ()) = tokio::try_join!(node.terminate(), call.answer(), async {
        until(address, "/readyz", StatusCode::SERVICE_UNAVAILABLE).await?;
        let alive = request(Method::GET, address, "/livez").await?;
        ensure!(alive.status() == StatusCode::OK, "{alive:?}");
        Ok(())
    })?;
    ensure!(
        ended.success() && answer.status == StatusCode::OK,
        "{ended}, {answer:?}"
    );
    Ok(())
}

pub(crate) async fn errors() -> Result<()> {
    let error = async |options: &[&str], store: &str| {
        let command = Command::new(PROGRAM)
            .arg("node")
            .args(options)
            .env("STORE", store)
            .output();
        let output = command.await?;
        ensure!(!output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stderr)?)
    };
    let other = error(&[], "mysql://user:secret@host/jobs").await?;
    ensure!(
        other.contains("not mysql:") && !other.contains("secret"),
        "{other}"
    );
    let missing = error(&[], "sqlite:/missing/jobs.db").await?;
    ensure!(missing.contains("/missing/jobs.db"), "{missing}");
    Ok(())
}
