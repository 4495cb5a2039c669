//! Proxies of `-x` and of the environment.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    poll::{Ran, command, finish, run},
    raw::Raw,
    server::{Server, pending, reply},
};

async fn with_environment(variables: &[(&str, &str)], url: &str) -> Ran {
    let mut command = command(&["--min-delay", "1ms", url]);
    for (name, value) in variables {
        command.env(name, value);
    }
    finish(command.spawn().unwrap()).await
}

/// Starts a proxy that answers requests itself.
async fn forwarding() -> Raw {
    Raw::start(|n, _| match n {
        0 => "HTTP/1.1 303 See Other\r\nLocation: /work/1\r\nRetry-After: 0\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_owned(),
    })
    .await
}

#[tokio::test]
async fn proxy_gets_whole_urls_and_its_credentials() {
    let proxy = forwarding().await;
    let through = format!("me:secret@{}", proxy.address);
    let ran = run(&["-v", "-x", &through, "http://a.example/report"]).await;
    let ran = ran.exits_with(0);
    assert_eq!(ran.stdout, "done");
    assert!(!ran.stderr.contains("bWU6c2VjcmV0"), "{ran:?}");
    let heads = proxy.heads();
    assert!(
        heads[0].starts_with("GET http://a.example/report HTTP/1.1\r\n"),
        "{heads:?}"
    );
    assert!(
        heads[1].starts_with("GET http://a.example/work/1 HTTP/1.1\r\n"),
        "{heads:?}"
    );
    for head in heads {
        assert!(
            head.contains("proxy-authorization: Basic bWU6c2VjcmV0\r\n"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn environment_names_proxies_and_exceptions() {
    let server = Server::start(|_, _| reply(200, "direct")).await;
    for (variables, expected) in [
        (&["http_proxy"][..], "done"),
        (&["HTTP_PROXY"], "done"),
        (&["all_proxy"], "done"),
        (&["https_proxy"], "direct"),
        (&["http_proxy", "no_proxy"], "direct"),
        (&["HTTP_PROXY", "REQUEST_METHOD"], "direct"),
    ] {
        let proxy = forwarding().await;
        let variables: Vec<_> = variables
            .iter()
            .map(|name| match *name {
                "no_proxy" => (*name, "a.example,127.0.0.0/8"),
                name => (name, &*proxy.address),
            })
            .collect();
        let ran = with_environment(&variables, &server.url("/")).await;
        assert_eq!(ran.exits_with(0).stdout, expected, "{variables:?}");
    }
}

#[tokio::test]
async fn exceptions_are_separated_by_commas_or_spaces_and_a_star_is_all() {
    let server = Server::start(|_, _| reply(200, "direct")).await;
    for exceptions in ["*", "a.example, *", "a.example 127.0.0.1", "127.0.0.1"] {
        let variables = [("http_proxy", "127.0.0.1:9"), ("no_proxy", exceptions)];
        let ran = with_environment(&variables, &server.url("/")).await;
        assert_eq!(ran.exits_with(0).stdout, "direct", "{exceptions}");
    }
}

#[tokio::test]
async fn option_comes_before_the_environment() {
    let server = Server::start(|_, _| reply(200, "direct")).await;
    let mut command = command(&["-x", "", &server.url("/")]);
    command.env("http_proxy", "127.0.0.1:9");
    let ran = finish(command.spawn().unwrap()).await;
    assert_eq!(ran.exits_with(0).stdout, "direct");
}

#[tokio::test]
async fn proxies_that_are_none_are_told() {
    let ran = with_environment(&[("http_proxy", "ftp://a.example")], "http://a.example").await;
    let ran = ran.exits_with(2);
    assert!(ran.stderr.contains("http_proxy: `ftp`"), "{ran:?}");
    run(&["-x", "ftp://a", "http://a.example"])
        .await
        .exits_with(2);
    let ran = run(&["-x", "127.0.0.1:9", "http://a.example"])
        .await
        .exits_with(7);
    let expected = "cannot connect to a.example:80 through the proxy 127.0.0.1:9: ";
    assert!(ran.stderr.contains(expected), "{ran:?}");
    let ran = run(&["-x", "nowhere.invalid:1", "http://a.example"]).await;
    let ran = ran.exits_with(5);
    assert!(
        ran.stderr.contains("the proxy nowhere.invalid:1"),
        "{ran:?}"
    );
}

/// Starts a proxy that opens a tunnel to any address, after a handshake of
/// SOCKS 5 or of CONNECT. Returns the addresses that clients asked for.
async fn tunnel(to: String, socks: bool) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 1024];
        let asked = if socks {
            let _ = client.read(&mut head).await.unwrap();
            client.write_all(&[5, 0]).await.unwrap();
            let length = client.read(&mut head).await.unwrap();
            let reply = [5, 0, 0, 1, 127, 0, 0, 1, 0, 0];
            client.write_all(&reply).await.unwrap();
            // The name stands between its length and the port.
            let name = String::from_utf8_lossy(&head[5..length - 2]);
            let port = u16::from_be_bytes([head[length - 2], head[length - 1]]);
            format!("{name}:{port}")
        } else {
            let length = client.read(&mut head).await.unwrap();
            let reply = b"HTTP/1.1 200 Connection established\r\n\r\n";
            client.write_all(reply).await.unwrap();
            String::from_utf8_lossy(&head[..length]).into_owned()
        };
        let mut server = TcpStream::connect(to).await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await;
        asked
    });
    (address, asked)
}

#[tokio::test]
async fn socks_resolves_names_at_the_proxy() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => reply(200, "done"),
    });
    let server = server.await;
    let (proxy, asked) = tunnel(server.url("").replace("http://", ""), true).await;
    let proxy = format!("socks5h://{proxy}");
    let ran = run(&["-x", &proxy, "http://jobs.example/"])
        .await
        .exits_with(0);
    assert_eq!(ran.stdout, "done");
    assert_eq!(asked.await.unwrap(), "jobs.example:80");
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let (server, root) = crate::tls::server(|n, _| match n {
        0 => pending("/work/1"),
        _ => reply(200, "done"),
    })
    .await;
    let to = server.url("").replace("https://", "");
    let (proxy, asked) = tunnel(to.clone(), false).await;
    let proxy = format!("me:secret@{proxy}");
    let root = root.path().to_str().unwrap();
    let ran = run(&["--cacert", root, "-x", &proxy, &server.url("/")]).await;
    assert_eq!(ran.exits_with(0).stdout, "done");
    let head = asked.await.unwrap();
    assert!(
        head.starts_with(&format!("CONNECT {to} HTTP/1.1\r\n")),
        "{head}"
    );
    assert!(
        head.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn proxy_of_https_is_checked_whatever_is_said_of_the_server() {
    let (proxy, root) = crate::tls::server(|_, seen| {
        assert_eq!(seen.uri, "http://a.example/");
        reply(200, "done")
    })
    .await;
    let through = proxy.url("");
    let ran = run(&["-k", "-x", &through, "http://a.example/"]).await;
    let ran = ran.exits_with(60);
    assert!(
        ran.stderr
            .contains("the certificate of the proxy localhost:"),
        "{ran:?}"
    );
    let mut command = command(&["-x", &through, "http://a.example/"]);
    command.env("SSL_CERT_FILE", root.path());
    let ran = finish(command.spawn().unwrap()).await;
    assert_eq!(ran.exits_with(0).stdout, "done");
}
