//! One exit code at a time.

use std::time::Duration;

use tokio::net::TcpListener;

use crate::{
    poll::{poll, run},
    server::{Answer, Server, pending, reply, with},
};

#[tokio::test]
async fn final_success_is_0() {
    for status in [200, 201, 204] {
        let server = Server::start(move |_, _| reply(status, "")).await;
        poll(&[&server.url("/")]).await.exits_with(0);
    }
}

#[tokio::test]
async fn final_error_is_22_and_its_body_is_written() {
    for status in [400, 404, 422, 500, 503] {
        let server = Server::start(move |_, _| reply(status, "sorry")).await;
        let ran = poll(&[&server.url("/")]).await.exits_with(22);
        assert_eq!(ran.stdout, "sorry");
    }
}

#[tokio::test]
async fn wrong_usage_is_2() {
    for arguments in [
        &[][..],
        &["--nonsense", "http://127.0.0.1"],
        &["ftp://example.com/"],
        &["-H", "nonsense", "http://127.0.0.1"],
        &["-X", "GET /", "http://127.0.0.1"],
        &["--deadline", "soon", "http://127.0.0.1"],
        &["--min-delay", "2s", "--max-delay", "1s", "http://127.0.0.1"],
        &["-d", "@-", "-d", "@-", "http://127.0.0.1"],
        &["resume", "{}"],
        &["resume", "/no/such/file"],
        &["status", "{\"version\":99}"],
    ] {
        let ran = run(arguments).await.exits_with(2);
        assert!(!ran.stderr.is_empty());
    }
}

#[tokio::test]
async fn refused_connection_is_7_and_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let ran = poll(&[&format!("http://127.0.0.1:{port}/")])
        .await
        .exits_with(7);
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert!(ran.stderr.contains("refused"), "{ran:?}");
}

#[tokio::test]
async fn unknown_host_is_6() {
    let ran = poll(&["http://nowhere.invalid/"]).await.exits_with(6);
    assert!(ran.stderr.contains("cannot resolve"), "{ran:?}");
}

#[tokio::test]
async fn missing_file_to_send_is_26() {
    let server = Server::start(|_, _| reply(200, "")).await;
    let ran = poll(&["-d", "@/no/such/file", &server.url("/")])
        .await
        .exits_with(26);
    assert!(ran.stderr.contains("/no/such/file"), "{ran:?}");
    assert!(server.seen().is_empty());
    poll(&["-d", "@/", &server.url("/")]).await.exits_with(26);
}

#[tokio::test]
async fn body_that_is_too_long_to_be_kept_is_2() {
    let server = Server::start(|_, _| reply(200, "")).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(64 * 1024 * 1024 + 1).unwrap();
    let data = format!("@{}", file.path().display());
    let ran = poll(&["--idempotent", "-d", &data, &server.url("/")])
        .await
        .exits_with(2);
    assert!(ran.stderr.contains("64 MiB"), "{ran:?}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn deadline_ends_a_submission_that_is_not_answered() {
    let server = Server::start(|_, _| Answer::Hang).await;
    let ran = poll(&["--deadline", "100ms", &server.url("/")])
        .await
        .exits_with(28);
    assert!(ran.stderr.contains("the deadline passed"), "{ran:?}");
}

#[tokio::test]
async fn deadline_ends_a_body_that_does_not_end() {
    let server =
        Server::start(|_, _| Answer::Endless(crate::server::response(200, &[], "again and again")));
    let server = server.await;
    poll(&["--deadline", "300ms", "-o", "/dev/null", &server.url("/")])
        .await
        .exits_with(28);
}

#[tokio::test]
async fn maximum_of_polls_is_47_and_offers_the_handle() {
    let server = Server::start(|_, _| pending("/work/1")).await;
    let ran = poll(&["--max-polls", "3", &server.url("/")])
        .await
        .exits_with(47);
    assert_eq!(server.seen().len(), 4);
    assert!(ran.stderr.contains("resume with: poll resume '"), "{ran:?}");
    assert!(ran.handle().contains("/work/1"));
}

#[tokio::test]
async fn connection_closed_without_an_answer_is_52() {
    let server = Server::start(|_, _| Answer::Close).await;
    poll(&[&server.url("/")]).await.exits_with(52);
}

#[tokio::test]
async fn redirect_that_is_no_polling_is_passed_up_with_a_word() {
    let server = Server::start(|_, _| with(301, &[("location", "/other")], "moved")).await;
    let ran = poll(&[&server.url("/")]).await.exits_with(0);
    assert_eq!(ran.stdout, "moved");
    assert!(ran.stderr.contains("301"), "{ran:?}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn answer_that_is_no_http_is_56() {
    use tokio::io::AsyncWriteExt;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 mail.example.com\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    poll(&[&format!("http://127.0.0.1:{port}/")])
        .await
        .exits_with(56);
}
