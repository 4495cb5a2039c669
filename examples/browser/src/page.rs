//! The page, its style and its scripts.

use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    routing::get,
};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Everything comes from this server, and nothing is inline.
const POLICY: &str = "default-src 'self'; img-src data:";

/// Returns the routes of the files.
pub(crate) fn routes() -> Router {
    let files = [
        ("/", HTML, include_str!("../page/index.html")),
        ("/page.css", CSS, include_str!("../page/page.css")),
        ("/page.js", JAVASCRIPT, include_str!("../page/page.js")),
        ("/poll.js", JAVASCRIPT, include_str!("../poll.js")),
        ("/events.js", JAVASCRIPT, include_str!("../events.js")),
    ];
    let mut router = Router::new();
    for (path, media_type, content) in files {
        let headers = [
            (CONTENT_TYPE, media_type),
            (CONTENT_SECURITY_POLICY, POLICY),
            (CACHE_CONTROL, "no-cache"),
        ];
        router = router.route(path, get(move || async move { (headers, content) }));
    }
    router
}
