//! The application: reports on the years of an archive.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tower_async_job::JobContext;

/// The time that a page takes.
const PAGE: Duration = Duration::from_millis(100);

/// The archive: the title of each year.
#[derive(Clone, Debug)]
pub struct Archive(Arc<BTreeMap<u16, String>>);

impl Default for Archive {
    /// Returns an archive of a few years.
    fn default() -> Self {
        let titles = (2020..2032).map(|year| (year, format!("The year {year}")));
        Self(Arc::new(titles.collect()))
    }
}

/// Returns the routes of the application.
pub fn routes(archive: Archive) -> Router {
    Router::new()
        .route("/years", get(years))
        .route("/reports/{year}", post(report))
        .with_state(archive)
}

async fn years(State(archive): State<Archive>) -> Json<Vec<u16>> {
    Json(archive.0.keys().copied().collect())
}

#[derive(Deserialize)]
struct Order {
    pages: u32,
}

#[derive(Serialize)]
struct Report {
    title: String,
    pages: u32,
    attempt: u32,
}

/// Writes a report, page by page.
///
/// It may run more than once, so that it has no effect but its answer. If it sent a mail, the
/// mail's id would be [`JobContext::handle`], which is the same in all runs.
async fn report(
    State(archive): State<Archive>,
    Path(year): Path<u16>,
    job: JobContext,
    Json(order): Json<Order>,
) -> Result<Json<Report>, (StatusCode, String)> {
    let unknown = || (StatusCode::NOT_FOUND, format!("no year {year}\n"));
    let title = archive.0.get(&year).ok_or_else(unknown)?;
    for page in 1..=order.pages {
        sleep(PAGE).await;
        job.progress_of(page.into(), order.pages.into());
    }
    Ok(Json(Report {
        title: title.clone(),
        pages: order.pages,
        attempt: job.attempt(),
    }))
}
