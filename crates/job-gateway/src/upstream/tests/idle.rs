use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep, timeout};

use super::support::{Server, get, http1, memory, post, request, send, settings, until_tasks};
use crate::upstream::Client;

/// Answers each request with the number of its connection, and with some fields.
async fn count(mut server: Server, fields: &'static str) {
    let mut number = 0;
    loop {
        let mut peer = server.accept().await;
        number += 1;
        tokio::spawn(async move {
            while peer.read().await.is_some() {
                peer.answer(&format!("{fields}number: {number}\r\n"), "")
                    .await;
            }
        });
    }
}

/// Sends a request, and returns the number of its connection.
async fn number(client: &Client, method: Method) -> u32 {
    let response = client.send(request(method, "")).await.unwrap();
    let number = response.headers()["number"].to_str().unwrap();
    number.parse().unwrap()
}

/// Returns whether a request finds the connection that another has used that many milliseconds ago.
async fn is_reused(method: Method, fields: &'static str, idle: u64) -> bool {
    let (client, server) = http1();
    let server = tokio::spawn(count(server, fields));
    assert_eq!(number(&client, Method::GET).await, 1);
    sleep(Duration::from_millis(idle)).await;
    let number = number(&client, method).await;
    server.abort();
    number == 1
}

#[tokio::test(start_paused = true)]
async fn a_safe_request_takes_a_connection_that_has_been_idle_for_less_than_four_seconds() {
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
        assert!(is_reused(method.clone(), "", 3_900).await, "{method}");
        assert!(!is_reused(method.clone(), "", 4_100).await, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unsafe_request_takes_a_connection_that_has_been_idle_for_a_second_at_most() {
    let other = Method::from_bytes(b"OTHER").unwrap();
    for method in [
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        other,
    ] {
        assert!(is_reused(method.clone(), "", 900).await, "{method}");
        assert!(!is_reused(method.clone(), "", 1_100).await, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_a_second_before_the_servers_own_time() {
    let three = "Keep-Alive: timeout=3, max=100\r\n";
    assert!(is_reused(Method::GET, three, 1_900).await);
    assert!(!is_reused(Method::GET, three, 2_100).await);
    let node = "Keep-Alive: timeout=5\r\n";
    assert!(is_reused(Method::GET, node, 3_900).await);
    assert!(!is_reused(Method::GET, node, 4_100).await);
    for fields in [
        "Keep-Alive: max=9, Timeout=1\r\n",
        "keep-alive: timeout=\"0\"\r\n",
    ] {
        assert!(!is_reused(Method::GET, fields, 0).await, "{fields}");
    }
    for fields in [
        "Keep-Alive: timeout=3600\r\n",
        "Keep-Alive: timeout=x, y\r\n",
    ] {
        assert!(is_reused(Method::GET, fields, 3_900).await, "{fields}");
        assert!(!is_reused(Method::GET, fields, 4_100).await, "{fields}");
    }
    assert!(!is_reused(Method::GET, "Connection: close\r\n", 0).await);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_too_old_for_an_unsafe_request_is_left_for_a_safe_one() {
    let (client, mut server) = http1();
    let sent = send(&client, get());
    let mut first = server.accept().await;
    first.read().await.unwrap();
    first.answer("", "").await;
    sent.await.unwrap().unwrap();
    sleep(Duration::from_secs(2)).await;
    let _unsafe = send(&client, post(""));
    let mut second = server.accept().await;
    second.read().await.unwrap();
    let _safe = send(&client, get());
    assert!(first.read().await.is_some());
    assert!(!server.has_another());
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_and_no_task_is_left() {
    let (client, mut server) = http1();
    let begin = Instant::now();
    let sent = [send(&client, get()), send(&client, get())];
    let mut peers = [server.accept().await, server.accept().await];
    for peer in &mut peers {
        peer.read().await.unwrap();
        peer.answer("", "ok").await;
    }
    for sent in sent {
        let response = sent.await.unwrap().unwrap();
        response.into_body().collect().await.unwrap();
    }
    for peer in &mut peers {
        assert_eq!(peer.read().await, None, "the client closes it");
    }
    let elapsed = begin.elapsed();
    assert!(elapsed >= Duration::from_secs(4), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(4_100), "{elapsed:?}");
    until_tasks(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_dropped_closes_its_idle_connections_and_no_others() {
    let (client, mut server) = http1();
    let sent = [send(&client, get()), send(&client, get())];
    let (mut idle, mut busy) = (server.accept().await, server.accept().await);
    for peer in [&mut idle, &mut busy] {
        peer.read().await.unwrap();
    }
    idle.answer("", "").await;
    busy.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha")
        .await;
    let [first, second] = sent;
    drop(first.await.unwrap().unwrap());
    let response = second.await.unwrap().unwrap();
    drop(client);
    assert_eq!(idle.read().await, None);
    busy.write("lf").await;
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "half"
    );
    assert_eq!(busy.read().await, None);
    // The task that closes idle connections notices at its next turn.
    sleep(Duration::from_secs(5)).await;
    until_tasks(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_retires_at_its_greatest_age_between_two_requests() {
    let (client, server) = http1();
    tokio::spawn(count(server, ""));
    let begin = Instant::now();
    let mut numbers = Vec::new();
    while begin.elapsed() < Duration::from_secs(119) {
        numbers.push(number(&client, Method::POST).await);
        sleep(Duration::from_millis(500)).await;
    }
    let firsts = numbers.iter().filter(|number| **number == 1).count();
    assert_eq!(firsts, 120);
    assert!(
        numbers[120..].iter().all(|number| *number == 2),
        "{numbers:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_response_outlives_the_greatest_age_of_its_connection() {
    let (client, mut server) = http1();
    let sent = send(&client, get());
    let mut peer = server.accept().await;
    peer.read().await.unwrap();
    sleep(Duration::from_secs(3_600)).await;
    peer.answer("", "late").await;
    let response = sent.await.unwrap().unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "late"
    );
    assert_eq!(peer.read().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_idle_once_the_body_of_its_response_has_ended() {
    let (client, mut server) = http1();
    let sent = send(&client, get());
    let mut first = server.accept().await;
    first.read().await.unwrap();
    first
        .write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha")
        .await;
    let mut body = sent.await.unwrap().unwrap().into_body();
    body.frame().await.unwrap().unwrap();

    let sent = send(&client, get());
    let mut second = server.accept().await;
    second.read().await.unwrap();
    second.answer("Connection: close\r\n", "").await;
    sent.await.unwrap().unwrap();

    sleep(Duration::from_secs(30)).await;
    first.write("lf").await;
    body.frame().await.unwrap().unwrap();
    let sent = send(&client, get());
    first.read().await.expect("its body has just ended");
    first.answer("", "").await;
    sent.await.unwrap().unwrap();
    assert!(!server.has_another());
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_dropped_closes_its_connection() {
    let (client, mut server) = http1();
    let sent = send(&client, get());
    let mut peer = server.accept().await;
    peer.read().await.unwrap();
    peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    drop(sent.await.unwrap().unwrap());
    let end = timeout(Duration::from_secs(1), peer.read()).await;
    assert_eq!(end.expect("it is closed at once"), None);
}

#[tokio::test(start_paused = true)]
async fn the_idle_time_of_the_settings_may_be_shorter() {
    let mut settings = settings("http://app.test");
    settings.idle_timeout = Duration::from_millis(500);
    let (client, server) = memory(settings);
    tokio::spawn(count(server, "Keep-Alive: timeout=60\r\n"));
    assert_eq!(number(&client, Method::GET).await, 1);
    sleep(Duration::from_millis(400)).await;
    assert_eq!(number(&client, Method::GET).await, 1);
    sleep(Duration::from_millis(600)).await;
    assert_eq!(number(&client, Method::GET).await, 2);
}
