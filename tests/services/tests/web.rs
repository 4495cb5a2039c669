//! Web servers of other languages, and nginx.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use test_services::{Missing, WebServer, available, python};

const WSGI: &str = "\
def application(environ, start_response):
    start_response('200 OK', [('Content-Length', '2')])
    print('asked for', environ['PATH_INFO'], flush=True)
    return [b'ok']
";

const ASGI: &str = "\
async def application(scope, receive, send):
    if scope['type'] == 'http':
        print('asked for', scope['path'], flush=True)
        await send({'type': 'http.response.start', 'status': 200})
        await send({'type': 'http.response.body', 'body': b'ok'})
";

const NODE: &str = "\
import { createServer } from 'node:http';
const server = createServer((request, response) => {
  console.log(`asked for ${request.url}`);
  response.end('ok');
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
";

#[track_caller]
fn answers(server: Result<WebServer, Missing>) {
    let Some(server) = available(server) else {
        return;
    };
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let request = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let log = server.log();
    assert!(
        log.contains("asked for /a") || log.contains("GET /a"),
        "{log}"
    );
}

#[test]
fn gunicorn_serves_a_module() {
    answers(WebServer::gunicorn(WSGI));
}

#[test]
fn uvicorn_serves_a_module() {
    answers(WebServer::uvicorn(ASGI));
}

#[test]
fn node_serves_a_module() {
    answers(WebServer::node(NODE));
}

#[test]
fn nginx_obeys_its_directives() {
    // Notices are in the log.
    let directives = "rewrite_log on; location / { rewrite ^ /b; } location /b { return 200 ok; }";
    answers(WebServer::nginx(directives));
}

#[test]
fn modules_of_python_that_are_missing_are_named() {
    let Some(_) = available(python("sys")) else {
        return;
    };
    let missing = python("a_module_that_is_not_there").unwrap_err();
    let reason = missing.to_string();
    assert!(reason.contains("No module named"), "{reason}");
}
