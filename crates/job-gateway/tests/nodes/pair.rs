//! Two gateways before one server.

use http::{Request, StatusCode};

use crate::{
    support::{Answer, Gateway, send},
    worker::Worker,
};

/// Two gateways on one store, before one server.
pub(crate) struct Pair {
    pub(crate) first: Gateway,
    pub(crate) second: Gateway,
    pub(crate) worker: Worker,
}

impl Pair {
    /// Starts them on the store of this URL.
    pub(crate) async fn on(store: &str) -> Self {
        let worker = Worker::start().await;
        let settings = format!(
            "store = \"{store}\"\nlease = \"2s\"\ngrace = \"0s\"\n\
            [upstreams.app]\nurl = \"{}\"\n\
            [defaults]\ninline_wait = \"100ms\"\nreplay = \"all\"\n\
            [[routes]]\nmatch = \"/once\"\nreplay = \"none\"\n",
            worker.upstream.url()
        );
        let (first, second) = tokio::join!(Gateway::with(&settings), Gateway::with(&settings));
        Self {
            first,
            second,
            worker,
        }
    }

    /// Submits a request to the first gateway. Returns the path of its job, and the URL for progress
    /// that the server has received.
    pub(crate) async fn submit(&mut self, path: &str) -> (String, String) {
        let job = accepted(&post(&self.first, path, None).await);
        (job, self.worker.url().await)
    }
}

/// Submits a request, with a key or without.
pub(crate) async fn post(gateway: &Gateway, path: &str, key: Option<&str>) -> Answer {
    let mut request = Request::post(gateway.url(path));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    send(request.body("{}".into()).unwrap()).await
}

/// Returns the path of the job that an answer announces.
pub(crate) fn accepted(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    let job = answer.header("location").split('?').next();
    job.unwrap().to_owned()
}

/// Polls a job, for at most this number of seconds.
pub(crate) async fn poll(gateway: &Gateway, job: &str, seconds: u8) -> Answer {
    let poll = Request::get(gateway.url(job)).header("prefer", format!("wait={seconds}"));
    send(poll.body("".into()).unwrap()).await
}

#[cfg(feature = "postgres")]
pub(crate) mod postgres {
    use std::sync::LazyLock;

    use test_services::{Missing, Postgres};

    static SERVER: LazyLock<Result<Postgres, Missing>> = LazyLock::new(Postgres::start);

    /// Creates a database for a test. Returns its URL.
    pub(crate) fn database(test: &str) -> Result<String, Missing> {
        // A longer name is cut.
        let name = &test[..test.len().min(40)];
        let server = SERVER.as_ref().map_err(Clone::clone)?;
        Ok(server.create_database(name))
    }
}
