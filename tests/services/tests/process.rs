//! The ends of servers with the process of their tests.

use std::{
    env,
    io::{self, BufRead, BufReader, Read},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use test_services::{Missing, Postgres, Redis, available};

/// The time limit of the end of servers.
const PATIENCE: Duration = Duration::from_secs(20);

static POSTGRES: LazyLock<Result<Postgres, Missing>> = LazyLock::new(Postgres::start);
static REDIS: LazyLock<Result<Redis, Missing>> = LazyLock::new(Redis::start);

/// A server as another process prints it.
struct Server {
    port: u16,
    folder: String,
}

impl Server {
    fn postgres(postgres: &Postgres) -> Self {
        Self {
            port: postgres.port(),
            folder: postgres.data().display().to_string(),
        }
    }

    fn redis(redis: &Redis) -> Self {
        let folder = redis.command(&["CONFIG", "GET", "dir"]);
        Self {
            port: redis.port(),
            folder: folder.trim_start_matches("dir\n").to_owned(),
        }
    }

    fn runs(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    fn exists(&self) -> bool {
        self.runs() || Path::new(&self.folder).exists()
    }
}

#[test]
#[ignore = "run by other tests as a process of its own"]
fn process_with_servers() {
    for result in [
        POSTGRES.as_ref().map(Server::postgres),
        REDIS.as_ref().map(Server::redis),
    ] {
        match result {
            Ok(Server { port, folder }) => println!("server {port} {folder}"),
            Err(missing) => println!("missing {missing}"),
        }
    }
    println!("end");
    // Ends when its input does.
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// Starts a process with servers in statics.
fn process() -> (Child, Vec<Server>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "process_with_servers",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let lines = output.by_ref().lines().map(Result::unwrap);
    let servers = lines
        .take_while(|line| line != "end")
        .filter_map(|line| {
            let (port, folder) = line.strip_prefix("server ")?.split_once(' ')?;
            Some(Server {
                port: port.parse().unwrap(),
                folder: folder.to_owned(),
            })
        })
        .collect();
    // The process may go on printing.
    child.stdout = Some(output.into_inner());
    (child, servers)
}

fn assert_gone(servers: &[Server]) {
    let begun = Instant::now();
    while servers.iter().any(Server::exists) {
        assert!(begun.elapsed() < PATIENCE, "a server or its folder remains");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Returns whether both servers of a process can be had.
fn are_available() -> bool {
    let postgres = available(POSTGRES.as_ref().map_err(Clone::clone));
    let redis = available(REDIS.as_ref().map_err(Clone::clone));
    postgres.is_some() && redis.is_some()
}

#[test]
fn servers_end_when_their_process_is_killed() {
    if !are_available() {
        return;
    }
    let (mut child, servers) = process();
    assert_eq!(servers.len(), 2);
    assert!(servers.iter().all(Server::runs));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_gone(&servers);
}

#[test]
fn servers_in_statics_end_after_their_process() {
    if !are_available() {
        return;
    }
    let (mut child, servers) = process();
    assert_eq!(servers.len(), 2);
    assert!(servers.iter().all(Server::runs));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_gone(&servers);
}

#[test]
fn servers_are_gone_after_their_drop() {
    let Some(postgres) = available(Postgres::start()) else {
        return;
    };
    let server = Server::postgres(&postgres);
    assert!(server.runs());
    drop(postgres);
    assert!(!server.exists());
}

#[test]
fn killed_servers_leave_nothing_either() {
    let Some(redis) = available(Redis::start()) else {
        return;
    };
    let server = Server::redis(&redis);
    redis.kill();
    assert!(!server.runs());
    assert!(server.exists());
    drop(redis);
    assert!(!server.exists());
}

#[test]
fn servers_that_are_started_twice_leave_nothing() {
    let Some(redis) = available(Redis::start()) else {
        return;
    };
    let server = Server::redis(&redis);
    redis.start_again();
    assert!(server.runs());
    drop(redis);
    assert!(!server.exists());
}
