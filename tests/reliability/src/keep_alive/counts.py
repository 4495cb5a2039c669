# Counts the requests to each path.
import collections
import json
import threading

seen = collections.Counter()
lock = threading.Lock()


def application(environ, start_response):
    environ["wsgi.input"].read()
    path = environ["PATH_INFO"]
    body = b"counted"
    with lock:
        if path == "/counts":
            twice = sum(1 for count in seen.values() if count > 1)
            body = json.dumps({"received": len(seen), "twice": twice}).encode()
        else:
            seen[path] += 1
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
