# A site with WSGI and ASGI: an echo, slow work, events, a redirect and a failure.
import asyncio
import json
import time


def answer(method, path, fields, body):
    if path == "/slow":
        return 200, {"content-type": "text/plain"}, b"slowly done"
    if path == "/moved":
        return 302, {"location": "/echo"}, b""
    if path == "/failed":
        return 503, {"retry-after": "7", "content-type": "text/plain"}, b"not today"
    told = {"method": method, "path": path, "body": len(body), "fields": fields}
    return 200, {"content-type": "application/json"}, json.dumps(told).encode()


def wsgi(environ, start_response):
    path, body = environ["PATH_INFO"], environ["wsgi.input"].read()
    if path == "/events":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return events()
    if path == "/slow":
        time.sleep(0.8)
    fields = {
        key.removeprefix("HTTP_").replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
    status, headers, body = answer(environ["REQUEST_METHOD"], path, fields, body)
    start_response(f"{status} Status", list(headers.items()))
    return [body]


def events():
    for number in range(3):
        yield b"data: %d\n\n" % number
        time.sleep(0.3)


async def asgi(scope, receive, send):
    if scope["type"] == "websocket":
        return await echo(scope, receive, send)
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"] == "/events":
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number in range(3):
            piece = b"data: %d\n\n" % number
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.3)
        return await send({"type": "http.response.body"})
    if scope["path"] == "/slow":
        await asyncio.sleep(0.8)
    fields = {name.decode(): value.decode() for name, value in scope["headers"]}
    status, headers, body = answer(scope["method"], scope["path"], fields, body)
    headers = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "echo"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            print("closed", message["code"])
            return
        if message.get("text") == "end":
            return await send({"type": "websocket.close", "code": 4001})
        message["type"] = "websocket.send"
        await send(message)


def application(*arguments):
    # WSGI has two arguments, ASGI three.
    return (wsgi if len(arguments) == 2 else asgi)(*arguments)
