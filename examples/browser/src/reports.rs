//! The slow route.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json, Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use tokio::time::sleep;
use tower_async_job::JobContext;

/// The time that a chapter takes.
const CHAPTER: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
struct Order {
    title: String,
    chapters: u32,
    #[serde(default)]
    fails: bool,
}

/// Returns the route of the reports.
pub(crate) fn routes() -> Router {
    Router::new().route("/reports", post(report))
}

/// Writes a report, chapter by chapter.
async fn report(job: JobContext, Json(order): Json<Order>) -> Response {
    let Order {
        title,
        chapters,
        fails,
    } = order;
    for chapter in 1..=chapters {
        job.message(format!("Chapter {chapter} of {chapters}"));
        sleep(CHAPTER).await;
        job.progress_of(chapter.into(), chapters.into());
        if fails && chapter >= chapters.div_ceil(2) {
            return problem(&format!("The ink ran out in chapter {chapter}."));
        }
    }
    format!(
        "{title}\n\n{chapters} chapters, written in attempt {}.\n",
        job.attempt()
    )
    .into_response()
}

/// Returns a problem document (RFC 9457).
fn problem(detail: &str) -> Response {
    let problem = [("title", "No report"), ("detail", detail)];
    let problem = BTreeMap::from(problem);
    let media_type = [(CONTENT_TYPE, "application/problem+json")];
    (StatusCode::INTERNAL_SERVER_ERROR, media_type, Json(problem)).into_response()
}
