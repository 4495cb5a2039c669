//! The units of systemd.

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use test_services::{available, installed};
use tokio::process::Command;

use crate::{generated::output, support::soon};

/// Returns a folder with the units, whose program is that of the test.
async fn units() -> (TempDir, [PathBuf; 2]) {
    let folder = TempDir::new().unwrap();
    let files = ["unit", "socket"].map(|what| match what {
        "unit" => (what, folder.path().join("job-gateway.service")),
        _ => (what, folder.path().join("job-gateway.socket")),
    });
    for (what, file) in &files {
        let unit = output(&["--generate", what]).await;
        let program = env!("CARGO_BIN_EXE_job-gateway");
        fs::write(file, unit.replace("/usr/bin/job-gateway", program)).unwrap();
    }
    let [(_, service), (_, socket)] = files;
    (folder, [service, socket])
}

#[tokio::test]
async fn the_units_have_no_errors_and_expose_little() {
    let Some(analyze) = available(installed("systemd-analyze")) else {
        return;
    };
    let (_folder, [service, socket]) = units().await;
    let mut verify = Command::new(&analyze);
    verify
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args([&service, &socket]);
    let done = soon(verify.output()).await.unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{told}");
    // Units of the machine may have warnings of their own.
    assert!(!told.contains("job-gateway"), "{told}");

    // Its threshold is ten times the exposure.
    let mut security = Command::new(&analyze);
    security
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&service);
    let done = soon(security.output()).await.unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stdout)
    );
}

#[tokio::test]
async fn a_unit_with_a_mistake_is_noticed() {
    let Some(analyze) = available(installed("systemd-analyze")) else {
        return;
    };
    let (_folder, [service, _]) = units().await;
    let unit = fs::read_to_string(&service).unwrap();
    let changed = unit.replace("ProtectSystem=strict", "ProtectSystm=strict");
    fs::write(&service, changed.replace("CapabilityBoundingSet=\n", "")).unwrap();
    let mut verify = Command::new(&analyze);
    let done = soon(
        verify
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(&service)
            .output(),
    )
    .await
    .unwrap();
    assert!(String::from_utf8_lossy(&done.stderr).contains("ProtectSystm"));
    let mut security = Command::new(&analyze);
    security
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&service);
    assert!(!soon(security.output()).await.unwrap().status.success());
}
