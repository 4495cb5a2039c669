//! Ctrl-C.

#![cfg(unix)]

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::sleep,
};

use crate::{
    poll::{command, finish, run},
    server::{Server, pending, reply, with},
};

async fn interrupt(child: &Child) {
    kill("-INT", child).await;
}

async fn kill(signal: &str, child: &Child) {
    let id = child.id().unwrap().to_string();
    let status = Command::new("kill").args([signal, &id]).status().await;
    assert!(status.unwrap().success());
}

/// A server with a job that never ends.
async fn endless() -> Server {
    Server::start(|_, seen| match seen.method.as_str() {
        "DELETE" => reply(202, ""),
        _ => with(303, &[("location", "/work/1"), ("retry-after", "30")], ""),
    })
    .await
}

/// Waits until the first pending answer has been shown.
async fn until_pending(child: &mut Child) -> BufReader<tokio::process::ChildStderr> {
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("poll: pending"), "{line}");
    stderr
}

#[tokio::test]
async fn c19_interrupt_offers_the_handle_and_leaves_the_job_alone() {
    let server = endless().await;
    let mut child = command(&[&server.url("/")]).spawn().unwrap();
    let mut stderr = until_pending(&mut child).await;
    interrupt(&child).await;
    let mut text = String::new();
    stderr.read_to_string(&mut text).await.unwrap();
    let mut ran = finish(child).await.exits_with(130);
    ran.stderr = text;
    assert!(ran.stderr.contains("resume with: poll resume '"), "{ran:?}");
    assert_eq!(server.lines(), ["GET /"]);
    run(&["cancel", &ran.handle()]).await.exits_with(0);
    assert_eq!(server.lines(), ["GET /", "DELETE /work/1"]);
}

#[tokio::test]
async fn c19_termination_offers_the_handle_too() {
    let server = endless().await;
    let mut child = command(&[&server.url("/")]).spawn().unwrap();
    let mut stderr = until_pending(&mut child).await;
    kill("-TERM", &child).await;
    let mut text = String::new();
    stderr.read_to_string(&mut text).await.unwrap();
    finish(child).await.exits_with(143);
    assert!(text.contains("resume with: poll resume '"), "{text}");
    assert_eq!(server.lines(), ["GET /"]);
}

#[tokio::test]
async fn c19_second_interrupt_cancels_where_asked() {
    let server = endless().await;
    let arguments = ["--cancel-on-interrupt", &server.url("/")];
    let mut child = command(&arguments).spawn().unwrap();
    let mut stderr = until_pending(&mut child).await;
    interrupt(&child).await;
    loop {
        let mut line = String::new();
        assert_ne!(stderr.read_line(&mut line).await.unwrap(), 0, "no offer");
        if line.contains("Ctrl-C again") {
            break;
        }
    }
    // The command listens for the next signal just after it prints the handle.
    sleep(Duration::from_millis(200)).await;
    assert_eq!(server.lines(), ["GET /"]);
    interrupt(&child).await;
    let mut text = String::new();
    stderr.read_to_string(&mut text).await.unwrap();
    finish(child).await.exits_with(130);
    assert!(text.contains("the server cancels the job"), "{text}");
    assert_eq!(server.lines(), ["GET /", "DELETE /work/1"]);
}

#[tokio::test]
async fn interrupt_before_an_answer_has_nothing_to_offer() {
    let server = Server::start(|_, _| crate::server::Answer::Hang).await;
    let child = command(&["--cancel-on-interrupt", &server.url("/")])
        .spawn()
        .unwrap();
    while server.seen().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    interrupt(&child).await;
    let ran = finish(child).await.exits_with(130);
    assert_eq!(ran.stderr, "poll: interrupted\n");
}

#[tokio::test]
async fn interrupt_ends_it_while_standard_input_is_awaited() {
    let server = Server::start(|_, _| pending("/work/1")).await;
    let mut child = command(&["-d", "@-", &server.url("/")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let _open = child.stdin.take();
    sleep(Duration::from_millis(300)).await;
    interrupt(&child).await;
    finish(child).await.exits_with(130);
}
