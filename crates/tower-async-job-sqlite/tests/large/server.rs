//! An application with large results.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract, routing::post};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
};
use tower_async_job::{AsyncJobLayer, store::Retention};
use tower_async_job_core::Clock;
use tower_async_job_sqlite::SqliteStore;

use crate::content::Content;

/// The seconds for which results are kept, and after them tombstones.
pub(crate) const KEPT: u64 = 60;

/// The bytes that the kernel keeps of a connection, in each direction; it doubles them.
pub(crate) const BUFFER: u32 = 16 << 10;

/// A server in this process. Dropping it ends its connections too.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<SqliteStore>,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(file: &Path, clock: impl Clock) -> Self {
        let store = SqliteStore::builder().clock(clock).open(file).await;
        let store = Arc::new(store.unwrap());
        let jobs = AsyncJobLayer::builder()
            .store(store.clone())
            .inline_wait(Duration::ZERO)
            .result_limit(2 << 30)
            .retention(Retention::new(
                Duration::from_secs(KEPT),
                Duration::from_secs(KEPT),
            ))
            .build()
            .unwrap();
        let result = |extract::Path(length): extract::Path<u64>| async move {
            // Otherwise it is ready before its job is stored, and answered inline.
            tokio::time::sleep(Duration::from_millis(500)).await;
            Body::new(Content::new(length))
        };
        let application = Router::new()
            .route("/results/{length}", post(result))
            .layer(jobs.clone())
            .nest_service("/work", jobs.resource());
        let listener = listener();
        Self {
            address: listener.local_addr().unwrap(),
            store,
            serving: tokio::spawn(async {
                axum::serve(listener, application).await.unwrap();
            }),
        }
    }

    /// Serves until the process ends.
    pub(crate) async fn wait(self) {
        self.serving.await.unwrap();
    }
}

/// Listens on a port whose connections have small buffers, so that a client that reads slowly stops
/// the server.
fn listener() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(BUFFER).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(64).unwrap()
}
