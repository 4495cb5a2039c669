//! `fetch` from a page of another origin, with tower-http's `CorsLayer` outside the layer.

use std::time::Duration;

use anyhow::{Result, ensure};
use axum::{
    Json, Router,
    http::Method,
    middleware::{Next, from_fn},
    response::Html,
    routing::{get, post},
};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle};
use tower_async_job::{AsyncJobLayer, PendingStatus};

use crate::{
    browser::Browser,
    site::{allow_pages, fast, serve},
};

/// A script that submits, polls while `Job-Status` is pending, and shows the answers. It reads only
/// headers that a server on another origin must expose.
const PAGE: &str = r#"<!doctype html>
<title>Elsewhere</title>
<p id="seen"></p>
<script>
const show = (seen) => { document.getElementById("seen").textContent = JSON.stringify(seen); };
const submit = (path) => fetch("{api}" + path, {
  method: "POST",
  headers: { "Content-Type": "application/json", Prefer: "respond-async" },
  body: "[1, 2, 3]",
});
const next = (answer) => new URL(answer.headers.get("Location"), answer.url);
const fetched = async () => {
  let answer = await submit("/sum");
  const seen = { status: answer.status, contentLocation: answer.headers.get("Content-Location"),
    location: answer.headers.get("Location"), retryAfter: answer.headers.get("Retry-After"),
    applied: answer.headers.get("Preference-Applied"), polls: 0 };
  while (["queued", "running"].includes(answer.headers.get("Job-Status"))) {
    await new Promise((due) => setTimeout(due, Number(answer.headers.get("Retry-After-Ms"))));
    answer = await fetch(next(answer));
    seen.polls += 1;
  }
  const state = answer.headers.get("Job-Status");
  show({ ...seen, state, result: await answer.json() });
};
const cancelled = async () => {
  const job = next(await submit("/never"));
  const cancellation = await fetch(job, { method: "DELETE" });
  const after = await fetch(job);
  show({ cancellation: cancellation.status, state: after.headers.get("Job-Status"),
    problem: (await after.json()).title });
};
({test})().catch((error) => show(String(error)));
</script>
"#;

/// The API, and the page with the script on another port.
struct Elsewhere {
    page: String,
    /// Method and path of each request to the API, before the CORS layer.
    requests: mpsc::UnboundedReceiver<(Method, String)>,
    servers: [JoinHandle<()>; 2],
}

impl Elsewhere {
    async fn serve(test: &str) -> Result<Self> {
        let builder = AsyncJobLayer::builder().pending_status(PendingStatus::Accepted);
        let (sender, requests) = mpsc::unbounded_channel();
        let observe = from_fn(move |request: axum::extract::Request, next: Next| {
            let path = request.uri().path().to_owned();
            let _ = sender.send((request.method().clone(), path));
            next.run(request)
        });
        let api = Router::new()
            .route("/sum", post(sum))
            .route("/never", post(std::future::pending::<()>))
            .layer(fast(builder)?)
            .layer(allow_pages())
            .layer(observe);
        let (address, api_server) = serve(api).await?;
        let page = PAGE
            .replace("{api}", &format!("http://{address}"))
            .replace("{test}", test);
        let page = Router::new().route("/", get(move || async { Html(page) }));
        let (address, page_server) = serve(page).await?;
        Ok(Self {
            page: format!("http://{address}/"),
            requests,
            servers: [api_server, page_server],
        })
    }

    fn requests(&mut self) -> Vec<String> {
        let mut requests = Vec::new();
        while let Ok((method, path)) = self.requests.try_recv() {
            let route = path.split('/').nth(1).unwrap_or_default();
            requests.push(format!("{method} /{route}"));
        }
        requests
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

async fn sum(Json(numbers): Json<Vec<i64>>) -> Json<i64> {
    tokio::time::sleep(Duration::from_millis(700)).await;
    Json(numbers.iter().sum())
}

/// Waits for the final text of the page.
async fn seen(browser: &Browser, page: &str) -> Result<Value> {
    browser.open_page(page).await?;
    let start = std::time::Instant::now();
    loop {
        let seen = browser.text("#seen").await?;
        if !seen.is_empty() {
            let complaints = browser.complaints().await?;
            ensure!(
                complaints.iter().all(|complaint| complaint.contains("410")),
                "{complaints:?}"
            );
            return Ok(serde_json::from_str(&seen)?);
        }
        ensure!(
            start.elapsed() < Duration::from_secs(30),
            "it shows nothing"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn fetched(browser: Browser) -> Result<()> {
    let mut elsewhere = Elsewhere::serve("fetched").await?;
    let seen = seen(&browser, &elsewhere.page).await?;
    ensure!(seen["status"] == 202, "{seen}");
    ensure!(seen["location"] == seen["contentLocation"], "{seen}");
    ensure!(seen["retryAfter"] == "1", "{seen}");
    ensure!(seen["applied"] == "respond-async", "{seen}");
    ensure!(seen["polls"].as_u64() >= Some(2), "{seen}");
    ensure!(seen["state"] == "done" && seen["result"] == 6, "{seen}");
    let requests = elsewhere.requests();
    ensure!(
        requests[..2] == ["OPTIONS /sum", "POST /sum"],
        "{requests:?}"
    );
    ensure!(
        requests[2..].iter().all(|request| request == "GET /work"),
        "polls need no preflight: {requests:?}"
    );
    Ok(())
}

pub(crate) async fn cancelled(browser: Browser) -> Result<()> {
    let mut elsewhere = Elsewhere::serve("cancelled").await?;
    let seen = seen(&browser, &elsewhere.page).await?;
    ensure!(seen["cancellation"] == 202, "{seen}");
    ensure!(seen["state"] == "cancelled", "{seen}");
    ensure!(seen["problem"].is_string(), "{seen}");
    let requests = elsewhere.requests();
    ensure!(
        requests[2..] == ["OPTIONS /work", "DELETE /work", "GET /work"],
        "{requests:?}"
    );
    Ok(())
}
