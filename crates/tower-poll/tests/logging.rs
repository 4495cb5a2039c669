//! The content of logs, and the secrets that they leave out.
//!
//! In a process of their own, all of them with a subscriber: what others reach first without one may
//! stay disabled.

mod common;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

use common::{Script, answer, exact_layer, post, see_other, send};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

async fn logged(script: &Script) -> String {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let request = post("https://me:password@example.com/report?token=secret");
    send(exact_layer(), script, request).await.unwrap();
    drop(guard);
    log.text()
}

#[tokio::test(start_paused = true)]
async fn polls_are_told_in_one_span_without_whole_urls() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/0123456789abcdef?poll=1"),
        1 => see_other("/work/0123456789abcdef?poll=2"),
        _ => answer(200, &[]),
    });
    let text = logged(&script).await;
    assert_eq!(text.matches("the answer is pending").count(), 2, "{text}");
    assert_eq!(text.matches(": new").count(), 1, "{text}");
    assert!(text.contains("https://example.com/work/…"), "{text}");
    assert!(text.contains("polls=2"), "{text}");
    for secret in ["0123456789", "password", "secret", "token"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_of_calls_that_are_answered_at_once() {
    let script = Script::new(|_, _| answer(200, &[]));
    assert_eq!(logged(&script).await, "");
}

/// Some clients name the URL in their errors.
#[tokio::test(start_paused = true)]
async fn failed_polls_are_told_by_their_cause_without_urls() {
    #[derive(Debug)]
    struct Failed(io::Error);

    impl std::fmt::Display for Failed {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("error for url (https://example.com/work/8f14?token=secret)")
        }
    }

    impl std::error::Error for Failed {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    let script = Script::new(|number, _| match number {
        0 => see_other("/work/8f14?token=secret"),
        1 => Err(Failed(io::ErrorKind::ConnectionReset.into()).into()),
        _ => answer(200, &[]),
    });
    let log = logged(&script).await;
    assert!(log.contains("connection reset"), "{log}");
    assert!(!log.contains("secret"), "{log}");
}
