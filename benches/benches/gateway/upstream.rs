//! The server behind the gateway and nginx, which costs little: it writes prepared bytes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use crate::Outcome;

/// The body of the answer to all requests.
const BODY: &str = r#"{"report": "0123456789abcdef0123456789abcdef", "state": "whole"}"#;

/// The time of the work at paths with `brief`, whose requests are jobs by then.
const WORK: Duration = Duration::from_millis(2);

/// A server that may hold its answers at paths with `held`.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Set while answers are held; `held` is their number.
    holds: AtomicBool,
    held: AtomicUsize,
    release: Notify,
}

impl Upstream {
    pub(crate) async fn start() -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let upstream = Self {
            address: listener.local_addr()?,
            state: Arc::default(),
        };
        let state = upstream.state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // The other side has closed the connection if this fails.
                let state = state.clone();
                tokio::spawn(async move { drop(serve(stream, &state).await) });
            }
        });
        Ok(upstream)
    }

    /// Returns the number of requests that are held.
    pub(crate) fn held(&self) -> usize {
        self.state.held.load(Ordering::Relaxed)
    }

    /// Holds the answers to all further requests.
    pub(crate) fn hold(&self) {
        self.state.holds.store(true, Ordering::Relaxed);
    }

    /// Answers all requests that are held, and all further ones.
    pub(crate) fn release(&self) {
        self.state.holds.store(false, Ordering::Relaxed);
        self.state.release.notify_waiters();
    }
}

fn answer() -> String {
    format!(
        "HTTP/1.1 200 OK\r\n\
         date: Thu, 26 Nov 2026 17:00:00 GMT\r\n\
         server: prepared\r\n\
         content-type: application/json\r\n\
         content-length: {}\r\n\
         cache-control: no-cache\r\n\
         \r\n\
         {BODY}",
        BODY.len()
    )
}

async fn serve(mut stream: TcpStream, state: &State) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let answer = answer();
    let mut head = Vec::new();
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let has = |word: &[u8]| line.windows(word.len()).any(|part| part == word);
        let released = state.release.notified();
        if has(b"/held") && state.holds.load(Ordering::Relaxed) {
            state.held.fetch_add(1, Ordering::Relaxed);
            released.await;
            state.held.fetch_sub(1, Ordering::Relaxed);
        }
        if has(b"/brief") {
            tokio::time::sleep(WORK).await;
        }
        stream.write_all(answer.as_bytes()).await?;
    }
}
