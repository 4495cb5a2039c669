"""A server with one thread, whose work takes a minute: it listens on a free port, and prints the port."""
import sys
import time
import wsgiref.simple_server

sys.path.insert(0, sys.argv[1])
import progress


def work(environ, start_response):
    url = environ.get("HTTP_JOB_PROGRESS_URL")
    for step in range(600):
        if not progress.report(url, done=step, total=600, message="step %d" % step):
            print("stopped", flush=True)
            break
        time.sleep(0.1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]


server = wsgiref.simple_server.make_server("127.0.0.1", 0, work)
print(server.server_port, flush=True)
server.serve_forever()
