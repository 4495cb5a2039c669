//! A server that writes raw bytes, for answers that hyper does not send.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A server on loopback, and the heads of the requests that it received.
pub(crate) struct Raw {
    pub(crate) address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    /// Starts a server that answers request number `n`, counted from 0, with
    /// `play(n, head)`, and closes the connection.
    pub(crate) async fn start(
        play: impl Fn(usize, &str) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let number = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(head.clone());
                    kept.len() - 1
                };
                let _ = stream.write_all(play(number, &head).as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, heads }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}
