//! A large result over HTTP, and the memory of the server meanwhile.
#![cfg(target_os = "linux")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{Router, body::Body, extract, routing::post};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tower_async_job::AsyncJobLayer;
use tower_async_job_offload::{Offloaded, object_store::local::LocalFileSystem};
use tower_async_job_sqlite::SqliteStore;

const DIRECTORY: &str = "TOWER_ASYNC_JOB_OFFLOAD_LARGE";
const MIB: u64 = 1 << 20;
const FRAME: u64 = 64 << 10;

/// Returns the frame with this number, which shows parts that are lost or exchanged.
fn frame(number: u64) -> Bytes {
    vec![(number % 251) as u8; FRAME as usize].into()
}

/// Plays the server; without a directory, it is a test that passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let directory = Path::new(&directory);
    let files = LocalFileSystem::new_with_prefix(directory).unwrap();
    let store = SqliteStore::open(directory.join("jobs.db")).await.unwrap();
    let jobs = AsyncJobLayer::builder()
        .store(Offloaded::new(store, files).unwrap())
        .inline_wait(Duration::ZERO)
        .result_limit(2 << 30)
        .build()
        .unwrap();
    let result = |extract::Path(mib): extract::Path<u64>| async move {
        // Otherwise it is ready before its job is stored, and answered inline.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let frames = (0..mib * MIB / FRAME).map(|number| Ok::<_, std::io::Error>(frame(number)));
        Body::from_stream(futures_util::stream::iter(frames))
    };
    let application = Router::new()
        .route("/results/{mib}", post(result))
        .layer(jobs.clone())
        .nest_service("/work", jobs.resource());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "listens on {}", listener.local_addr().unwrap()).unwrap();
    out.flush().unwrap();
    axum::serve(listener, application).await.unwrap();
}

/// A server in another process. Dropping it kills it.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "serve", "--nocapture", "--quiet"])
            .env(DIRECTORY, directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            Some(line.split_once("listens on ")?.1.parse().unwrap())
        });
        Self {
            child,
            address: address.unwrap(),
        }
    }

    /// Returns a figure of the process, in MiB.
    fn figure(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.unwrap().trim_matches([':', '\t', ' ', 'k', 'B']);
        kib.parse::<u64>().unwrap() >> 10
    }

    async fn send(&self, method: Method, path: &str) -> Result<Response<Incoming>, hyper::Error> {
        let io = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let (mut client, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "x")
            .body(Empty::<Bytes>::new());
        client.send_request(request.unwrap()).await
    }

    /// Lets a result go in, and returns the path of its job.
    async fn ended(&self, mib: u64) -> String {
        let accepted = self
            .send(Method::POST, &format!("/results/{mib}"))
            .await
            .unwrap();
        assert_eq!(accepted.status(), StatusCode::SEE_OTHER);
        let location = accepted.headers()[header::LOCATION].to_str().unwrap();
        let job = location.split('?').next().unwrap().to_owned();
        loop {
            let head = self.send(Method::HEAD, &job).await.unwrap();
            if head.status() != StatusCode::SEE_OTHER {
                assert_eq!(head.status(), StatusCode::OK);
                return job;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Reads a result, and returns its length; an error if it breaks off.
    async fn read(&self, job: &str) -> Result<u64, hyper::Error> {
        let mut body = self.send(Method::GET, job).await?.into_body();
        let mut read = 0;
        while let Some(part) = body.frame().await {
            for byte in part?.into_data().unwrap() {
                assert_eq!(u64::from(byte), read / FRAME % 251, "{read}");
                read += 1;
            }
        }
        Ok(read)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_result_goes_in_and_out_in_little_memory_and_breaks_off_without_its_object() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let job = server.ended(16).await;
    assert_eq!(server.read(&job).await.unwrap(), 16 * MIB);
    let before = server.figure("VmRSS");
    let job = server.ended(64).await;
    assert_eq!(server.read(&job).await.unwrap(), 64 * MIB);
    let after = server.figure("VmHWM");
    println!("64 MiB in and out: {before} MiB before, at most {after} MiB");
    assert!(after - before <= 24, "{before} to {after}");
    assert!(
        fs::metadata(directory.path().join("jobs.db"))
            .unwrap()
            .len()
            < MIB
    );

    for entry in fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for object in fs::read_dir(&path).unwrap() {
                let object = fs::OpenOptions::new()
                    .write(true)
                    .open(object.unwrap().path())
                    .unwrap();
                object.set_len(10 * MIB).unwrap();
            }
            server.read(&job).await.expect_err("it breaks off");
            fs::remove_dir_all(path).unwrap();
        }
    }
    // Without any of it, the answer is no result at all.
    let answer = server.send(Method::GET, &job).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let problem = answer.into_body().collect().await.unwrap().to_bytes();
    let problem = String::from_utf8_lossy(&problem);
    assert!(problem.contains("record-unreadable"), "{problem}");
}
