//! Websockets of real programs.

use std::time::Duration;

use test_services::{WebServer, available, python};

use crate::{process::run, servers::PYTHON, support::Gateway};

/// A conversation with text, bytes, a ping, and a close of either side.
pub(crate) const TALK: &str = "\
import asyncio, sys, websockets

async def main():
    url = sys.argv[1].replace('http', 'ws', 1)
    async with websockets.connect(url, subprotocols=['echo'], max_size=None) as socket:
        assert socket.subprotocol == 'echo', socket.subprotocol
        await socket.send('hello')
        assert await socket.recv() == 'hello'
        # Longer than the time after which other requests become jobs.
        await asyncio.sleep(0.3)
        data = bytes(range(256)) * 8192
        await socket.send(data)
        assert await socket.recv() == data
        await (await socket.ping())
        await socket.close(3999)
    async with websockets.connect(url, subprotocols=['echo']) as socket:
        await socket.send('end')
        try:
            await socket.recv()
        except websockets.ConnectionClosed as closed:
            print('closed by the server with', closed.rcvd.code)

asyncio.run(main())";

#[tokio::test(flavor = "multi_thread")]
async fn python_talks_to_uvicorn() {
    let Some(server) = available(WebServer::uvicorn(PYTHON)) else {
        return;
    };
    let Some(mut client) = available(python("websockets")) else {
        return;
    };
    let gateway = Gateway::before(&server.url(), &["--inline-wait", "100ms"]).await;
    client.args(["-c", TALK]);
    let said = run(client, &[&gateway.url("/socket")]).await;
    assert_eq!(said, "closed by the server with 4001\n");
    while !server.log().contains("closed 3999\n") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
