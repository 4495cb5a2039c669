//! The idempotency keys of submissions, as the server half reads them.
#![no_main]

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use http_polling_fuzz::headers_of;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Builder;
use tower::{Layer, ServiceExt, service_fn};
use tower_async_job::{AsyncJobLayer, JobBody};

const LONGEST: usize = 255;

fuzz_target!(|bytes: &[u8]| {
    let headers = headers_of("idempotency-key", bytes);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let status = runtime.expect("a runtime").block_on(async {
        let handler = service_fn(|_: Request<JobBody<Full<Bytes>>>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("done")))
        });
        let service = AsyncJobLayer::new().layer(handler);
        let mut request = Request::post("/report")
            .body(Full::default())
            .expect("valid");
        *request.headers_mut() = headers.clone();
        service.oneshot(request).await.expect("infallible").status()
    });
    let is_plain = |value: &[u8]| value.iter().all(u8::is_ascii_alphanumeric) && !value.is_empty();
    match status {
        StatusCode::OK => {
            assert_eq!(headers.len(), 1, "two keys are none");
            let value = headers["idempotency-key"]
                .to_str()
                .expect("a key is ASCII")
                .trim();
            // A quoted key may have an escape before each character, and parameters.
            assert!(!value.is_empty() && (value.starts_with('"') || value.len() <= LONGEST));
        }
        StatusCode::BAD_REQUEST => {
            let is_good = bytes.len() <= LONGEST && is_plain(bytes);
            assert!(!is_good, "a plain key is a key");
        }
        other => panic!("{other}"),
    }
});
