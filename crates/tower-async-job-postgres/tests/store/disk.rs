//! A disk that is full. It is a file system in memory, which only the administrator can mount.

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    process::Command,
};

use test_services::{Postgres, available};
use tower_async_job_core::{Detail, JobStore, NewJob};
use tower_async_job_postgres::PostgresStore;

/// A small disk that belongs to a server. Dropping it unmounts it.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount(data: &Path) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"]);
        match mount.arg(directory.path()).output() {
            Ok(output) if output.status.success() => {}
            _ => {
                // Bypasses the capture of the test runner.
                let _ = writeln!(std::io::stderr(), "not run: no disk can be mounted");
                return None;
            }
        }
        let owner = fs::metadata(data).unwrap();
        chown(directory.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Some(Self(directory))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Files may still be open.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn s20_on_a_full_disk_new_jobs_are_refused_and_jobs_stay_readable() {
    let Some(server) = available(Postgres::start()) else {
        return;
    };
    let Some(disk) = Disk::mount(&server.data()) else {
        return;
    };
    let others = disk.0.path().join("file of another program");
    fs::write(&others, vec![0; 8 << 20]).unwrap();
    let place = disk.0.path().display();
    server.query(&format!("CREATE TABLESPACE small LOCATION '{place}'"));
    server.query("CREATE DATABASE small TABLESPACE small");
    let store = PostgresStore::connect(server.url_of("small"))
        .await
        .unwrap();
    let mut ended = Vec::new();
    let full = loop {
        let new = NewJob::new(store.new_id(None, None));
        let lease = new.first_lease();
        if let Err(error) = store.create(new).await {
            break error;
        }
        match store.finish(&lease, crate::done(200_000).into()).await {
            Ok(()) => ended.push(lease.id),
            Err(error) => break error,
        }
        assert!(ended.len() < 1000, "the disk is never full");
    };
    assert!(full.is_full(), "{full:?}");
    assert!(ended.len() > 10, "{}", ended.len());
    for id in &ended {
        let record = store.read(id, Detail::Full).await.unwrap().unwrap();
        assert!(record.outcome.is_some());
    }
    // Once there is space again, all is well.
    fs::remove_file(others).unwrap();
    let lease = crate::add(&store).await;
    store
        .finish(&lease, crate::done(200_000).into())
        .await
        .unwrap();
}
