//! Options that curl has.

use std::fs;

use http::Method;

use crate::{
    poll::{poll, run, run_with_input},
    raw::Raw,
    server::{Answer, Server, pending, reply, with},
};

/// Answers the submission with a pending answer, and the poll with `done`.
async fn one_poll() -> Server {
    Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => with(200, &[("content-type", "text/plain")], "done"),
    })
    .await
}

#[tokio::test]
async fn limits_of_0_are_none() {
    let server = one_poll().await;
    let arguments = ["-m", "0", "--connect-timeout", "0", "-d", "x"];
    let ran = poll(&[&arguments[..], &[&server.url("/")]].concat()).await;
    assert_eq!(ran.exits_with(0).stdout, "done");
}

#[tokio::test]
async fn fail_leaves_out_the_problem_of_a_job_that_failed_too() {
    let server = Server::start(|_, seen| match seen.method {
        Method::POST => pending("/work/1"),
        _ => with(
            500,
            &[
                ("job-status", "failed"),
                ("content-type", "application/problem+json"),
            ],
            r#"{"title":"no"}"#,
        ),
    });
    let server = server.await;
    let url = server.url("/");
    let ran = poll(&["-d", "x", &url]).await.exits_with(22);
    assert!(ran.stdout.contains("\"title\":\"no\""), "{ran:?}");
    let ran = poll(&["-f", "-d", "x", &url]).await.exits_with(22);
    assert_eq!(ran.stdout, "");
}

#[tokio::test]
async fn accepted_options_may_stand_together() {
    let server = one_poll().await;
    let ran = poll(&["-fsSL", &server.url("/")]).await.exits_with(0);
    assert_eq!((&*ran.stdout, &*ran.stderr), ("done", ""));
}

#[tokio::test]
async fn fail_writes_no_body_of_an_error() {
    let server = Server::start(|_, _| reply(404, "not here")).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("answer");
    let ran = poll(&["-f", "-o", file.to_str().unwrap(), &server.url("/")]).await;
    let ran = ran.exits_with(22);
    assert!(ran.stderr.contains("answered 404 Not Found"), "{ran:?}");
    assert!(!file.exists());
}

#[tokio::test]
async fn json_has_its_types_and_is_not_joined() {
    let server = one_poll().await;
    poll(&["--json", "{\"a\":", "--json", "1}", &server.url("/")])
        .await
        .exits_with(0);
    let seen = server.seen();
    assert_eq!(seen[0].method, Method::POST);
    assert_eq!(seen[0].body, "{\"a\":1}");
    assert_eq!(seen[0].headers["content-type"], "application/json");
    assert_eq!(seen[0].headers["content-length"], "7");
    for seen in seen {
        assert_eq!(seen.headers["accept"], "application/json");
    }
}

#[tokio::test]
async fn data_goes_into_the_query() {
    let server = one_poll().await;
    let url = server.url("/report?x=y");
    poll(&["-G", "-d", "a=1", "-d", "b=2", "--url-query", "c=d e", &url])
        .await
        .exits_with(0);
    let seen = &server.seen()[0];
    assert_eq!(seen.method, Method::GET);
    assert_eq!(seen.uri, "/report?x=y&a=1&b=2&c=d%20e");
    assert!(seen.body.is_empty());
    assert!(!seen.headers.contains_key("content-type"));
}

#[tokio::test]
async fn head_is_sent_and_written() {
    let server = Server::start(|_, _| with(200, &[("x-kind", "report")], "")).await;
    let ran = poll(&["-I", &server.url("/")]).await.exits_with(0);
    assert!(ran.stdout.starts_with("HTTP/1.1 200 OK\r\n"), "{ran:?}");
    assert_eq!(server.lines(), ["HEAD /"]);
    run(&["-I", "-d", "x", &server.url("/")])
        .await
        .exits_with(2);
}

#[tokio::test]
async fn form_is_uploaded_in_parts() {
    let server = one_poll().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a \"b\".txt");
    fs::write(&file, "line\r\nline").unwrap();
    let upload = format!("file=@{};type=text/csv", file.display());
    let url = server.url("/");
    let arguments = [
        "--min-delay",
        "1ms",
        "-F",
        "title=Tüte",
        "-F",
        &upload,
        "-F",
        "in=<-",
        &url,
    ];
    run_with_input(&arguments, b"input").await.exits_with(0);
    let seen = &server.seen()[0];
    assert_eq!(seen.method, Method::POST);
    let content_type = seen.headers["content-type"].to_str().unwrap();
    let boundary = content_type
        .strip_prefix("multipart/form-data; boundary=")
        .unwrap();
    let expected = [
        "Content-Disposition: form-data; name=\"title\"\r\n\r\nTüte\r\n",
        "Content-Disposition: form-data; name=\"file\"; filename=\"a %22b%22.txt\"\r\n\
         Content-Type: text/csv\r\n\r\nline\r\nline\r\n",
        "Content-Disposition: form-data; name=\"in\"\r\n\r\ninput\r\n",
    ]
    .map(|part| format!("--{boundary}\r\n{part}"))
    .concat();
    let body = String::from_utf8(seen.body.to_vec()).unwrap();
    assert_eq!(body, format!("{expected}--{boundary}--\r\n"));
    assert!(!server.seen()[1].headers.contains_key("content-type"));
}

#[tokio::test]
async fn keyed_form_is_the_same_each_time() {
    let server = Server::start(|_, _| reply(200, "")).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "the same file").unwrap();
    let upload = format!("file=@{}", file.path().display());
    for _ in 0..2 {
        let key = ["-H", "Idempotency-Key: k7", "-F", &upload, &server.url("/")];
        run(&key).await.exits_with(0);
    }
    run(&["-F", &upload, &server.url("/")]).await.exits_with(0);
    let seen = server.seen();
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(
        seen[0].headers["content-type"],
        seen[1].headers["content-type"]
    );
    assert_eq!(
        seen[0].headers["content-length"],
        seen[0].body.len().to_string()
    );
    assert_ne!(
        seen[0].headers["content-type"],
        seen[2].headers["content-type"]
    );
}

#[tokio::test]
async fn lost_submission_is_sent_again_where_that_does_no_harm() {
    for (arguments, sent) in [
        (&["--retry", "1"][..], 2),
        (&["--retry", "1", "-X", "PUT", "-d", "x"], 2),
        (&["--retry", "1", "-d", "x"], 1),
        (&["--retry", "1", "-d", "x", "-H", "Idempotency-Key: 1"], 2),
        (&["--idempotent", "--retry", "1", "-d", "x"], 2),
        (&[], 1),
    ] {
        let server = Server::start(|_, _| Answer::Close).await;
        let url = server.url("/");
        let ran = poll(&[arguments, &[&url]].concat()).await.exits_with(52);
        assert_eq!(server.seen().len(), sent, "{arguments:?}");
        let is_told = ran.stderr.contains("POST is not sent again");
        assert_eq!(is_told, arguments == ["--retry", "1", "-d", "x"], "{ran:?}");
    }
}

#[tokio::test]
async fn polls_are_not_sent_more_often_for_retries() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => Answer::Close,
    });
    let server = server.await;
    let url = server.url("/");
    poll(&["--retry", "9", "--max-delay", "5ms", &url])
        .await
        .exits_with(52);
    assert_eq!(server.seen().len(), 7);
}

#[tokio::test]
async fn variables_are_written_in_the_end() {
    let server = one_poll().await;
    let format = "\\n%{http_code} %{content_type} %{num_polls} %{size_download} %{exitcode}\\n";
    let ran = poll(&["-s", "-w", format, &server.url("/")]).await;
    assert_eq!(ran.exits_with(0).stdout, "done\n200 text/plain 1 4 0\n");
    let format = "%{http_code} %{exitcode} %{errormsg}";
    let ran = poll(&["-w", format, "http://127.0.0.1:9/"])
        .await
        .exits_with(7);
    assert!(
        ran.stdout
            .starts_with("000 7 cannot connect to 127.0.0.1:9"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn head_is_dumped() {
    let server = one_poll().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("head");
    let ran = poll(&["-D", file.to_str().unwrap(), &server.url("/")]).await;
    assert_eq!(ran.exits_with(0).stdout, "done");
    let head = fs::read_to_string(file).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let ran = poll(&["-s", "-D-", &server.url("/")]).await.exits_with(0);
    assert!(ran.stdout.ends_with("\r\n\r\ndone"), "{ran:?}");
}

#[tokio::test]
async fn jobs_are_given_by_their_url() {
    let server = Server::start(|_, seen| match seen.method {
        Method::DELETE => reply(204, ""),
        _ => reply(200, "done"),
    });
    let server = server.await;
    let url = server.url("/work/1").replace("//", "//me:secret@");
    let ran = run(&["status", &url]).await.exits_with(0);
    assert_eq!(ran.stdout, "done: 200 OK\n");
    assert_eq!(run(&["resume", &url]).await.exits_with(0).stdout, "done");
    run(&["cancel", &url]).await.exits_with(0);
    assert_eq!(
        server.lines(),
        ["GET /work/1", "GET /work/1", "DELETE /work/1"]
    );
    for seen in server.seen() {
        assert_eq!(seen.headers["authorization"], "Basic bWU6c2VjcmV0");
    }
}

#[tokio::test]
async fn handle_is_written_where_there_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("job.json");
    let file = file.to_str().unwrap();
    let server = Server::start(|_, _| reply(200, "done")).await;
    let ran = run(&["--no-wait", "--job-file", file, &server.url("/")]).await;
    assert_eq!(ran.exits_with(20).stdout, "done");
    assert!(!fs::exists(file).unwrap());
    let server = Server::start(|_, _| reply(404, "")).await;
    run(&["--no-wait", &server.url("/")]).await.exits_with(22);

    let server = one_poll().await;
    let ran = run(&["--no-wait", "--job-file", file, &server.url("/")]).await;
    assert_eq!(ran.exits_with(0).stdout, "");
    assert_eq!(run(&["resume", file]).await.exits_with(0).stdout, "done");
    let server = one_poll().await;
    let ran = poll(&["--job-file", file, &server.url("/")]).await;
    assert_eq!(ran.exits_with(0).stdout, "done");
    assert!(
        fs::read_to_string(file)
            .unwrap()
            .contains(&server.url("/work/1"))
    );
}

#[tokio::test]
async fn credentials_go_only_to_origins_that_the_user_confirms() {
    let server = Server::start(|_, _| reply(200, "done")).await;
    let url = server.url("/work/1");
    let origin = server.url("");
    let handle = format!(r#"{{"version":1,"url":"{url}","origin":"{origin}/"}}"#);
    for credential in [&["-u", "me:secret"][..], &["-H", "X-Api-Key: secret"]] {
        for command in ["resume", "status", "cancel"] {
            let start = [&[command][..], credential].concat();
            let ran = run(&[&start[..], &[&handle]].concat()).await.exits_with(2);
            let hint = format!("--trust-origin={origin},");
            assert!(ran.stderr.contains(&hint), "{ran:?}");
            let elsewhere = ["--trust-origin=http://a.example", &handle];
            run(&[&start[..], &elsewhere].concat()).await.exits_with(2);
        }
        assert!(server.seen().is_empty());
    }
    let trusted = format!("--trust-origin={origin}");
    for job in [
        &[&*trusted, &handle][..],
        &["--trust-origin", &handle],
        &[&url],
    ] {
        run(&[&["resume", "-u", "me:secret"], job].concat())
            .await
            .exits_with(0);
    }
    run(&["resume", "-H", "X-Tenant: 7", &handle])
        .await
        .exits_with(0);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn many_folded_and_spaced_fields_are_read() {
    let server = Raw::start(|n, _| {
        let fields: String = (0..300).map(|n| format!("X-{n}: {n}\r\n")).collect();
        match n {
            0 => format!(
                "HTTP/1.1 303 See Other\r\n{fields}Location : /work/1\r\nRetry-After: 0\r\n\
                 X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n"
            ),
            _ => format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 4\r\n\r\ndone"),
        }
    })
    .await;
    let ran = poll(&[&server.url("/")]).await.exits_with(0);
    assert_eq!(ran.stdout, "done");
}
