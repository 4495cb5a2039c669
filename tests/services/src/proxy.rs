//! A proxy that tests let fail.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rustix::net::sockopt::set_socket_linger;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{Mutex, mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use crate::port::Port;

/// The largest number of pieces on their way in one direction of a connection.
const QUEUE: usize = 64;

/// The time for which listening is tried again, and the time between two tries.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// A TCP proxy in the process of a test, whose link can be cut, half open or slow.
///
/// It runs on the runtime of tokio that it is started on, until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    link: Arc<Link>,
    // None while the link is cut.
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Link {
    target: SocketAddr,
    condition: watch::Sender<Condition>,
    connections: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Condition {
    carries: bool,
    delay: Duration,
}

impl Proxy {
    /// Starts a proxy before this address.
    ///
    /// # Panics
    ///
    /// Panics if no port is free.
    pub async fn start(target: SocketAddr) -> Self {
        let condition = Condition {
            carries: true,
            delay: Duration::ZERO,
        };
        let proxy = Self {
            port: Port::reserve().unwrap_or_else(|error| panic!("{error}")),
            link: Arc::new(Link {
                target,
                condition: watch::Sender::new(condition),
                connections: AtomicU64::new(0),
                sent: AtomicU64::new(0),
                received: AtomicU64::new(0),
            }),
            task: Mutex::default(),
        };
        proxy.heal().await;
        proxy
    }

    /// Returns the address of the proxy, which remains the same.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Resets all connections, and refuses new ones.
    pub async fn cut(&self) {
        if let Some(task) = self.task.lock().await.take() {
            task.abort();
            // The listener and all connections belong to the task.
            let _ = task.await;
        }
    }

    /// Keeps connections open and accepts new ones, but carries nothing, not even their ends.
    ///
    /// Bytes that are sent meanwhile are carried after [`heal`](Self::heal).
    pub fn half_open(&self) {
        self.change(|condition| condition.carries = false);
    }

    /// Ends [`cut`](Self::cut) and [`half_open`](Self::half_open).
    ///
    /// # Panics
    ///
    /// Panics if another process took the port.
    pub async fn heal(&self) {
        self.change(|condition| condition.carries = true);
        let mut task = self.task.lock().await;
        if task.is_none() {
            *task = Some(tokio::spawn(self.link.clone().serve(self.listener().await)));
        }
    }

    /// Listens at the address, which a process that is just being started may have inherited.
    async fn listener(&self) -> TcpListener {
        let begun = Instant::now();
        loop {
            match TcpListener::bind(self.address()).await {
                Err(error) if begun.elapsed() < PATIENCE => {
                    assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
                    sleep(PAUSE).await;
                }
                listener => return listener.expect("the port is reserved"),
            }
        }
    }

    /// Carries everything this much later, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.change(|condition| condition.delay = delay);
    }

    /// Returns the number of connections that were ever accepted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.link.connections.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes that were carried to the target.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.link.sent.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes that were carried from the target.
    #[must_use]
    pub fn bytes_received(&self) -> u64 {
        self.link.received.load(Ordering::Relaxed)
    }

    fn change(&self, change: impl FnOnce(&mut Condition)) {
        self.link.condition.send_modify(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

impl Link {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    self.connections.fetch_add(1, Ordering::Relaxed);
                    connections.push(self.connect(client));
                },
                Some(_) = connections.next() => {}
            }
        }
    }

    /// Carries one connection. An error of one side resets the other.
    async fn connect(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_zero_linger()?;
        self.carries().await;
        let mut server = TcpStream::connect(self.target).await?;
        server.set_zero_linger()?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::try_join!(
            self.carry(from_client, to_server, &self.sent),
            self.carry(from_server, to_client, &self.received),
        )?;
        // Both sides ended without errors, so that what is on its way may arrive.
        set_socket_linger(&client, None)?;
        Ok(set_socket_linger(&server, None)?)
    }

    async fn carry(
        &self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        bytes: &AtomicU64,
    ) -> io::Result<()> {
        let (sender, mut receiver) = mpsc::channel(QUEUE);
        let read = async move {
            loop {
                let mut piece = vec![0; 16 * 1024];
                let length = from.read(&mut piece).await;
                let due = Instant::now() + self.condition.borrow().delay;
                piece.truncate(*length.as_ref().unwrap_or(&0));
                let ends = piece.is_empty();
                let piece = length.map(|_| piece);
                if sender.send((due, piece)).await.is_err() || ends {
                    return Ok(());
                }
            }
        };
        let write = async move {
            while let Some((due, piece)) = receiver.recv().await {
                sleep_until(due).await;
                self.carries().await;
                let piece = piece?;
                bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
                to.write_all(&piece).await?;
            }
            to.shutdown().await
        };
        tokio::try_join!(read, write).map(drop)
    }

    /// Waits until the link is not half open.
    async fn carries(&self) {
        let mut condition = self.condition.subscribe();
        // The sender exists as long as this.
        let _ = condition.wait_for(|condition| condition.carries).await;
    }
}
