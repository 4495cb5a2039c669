# Prints each whole request, with its fields as WSGI names them.
import json
import sys


def name(key):
    return key.removeprefix("HTTP_").replace("_", "-").lower()


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    length = environ.get("CONTENT_LENGTH")
    fields = {
        name(key): [value]
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in ("CONTENT_LENGTH", "CONTENT_TYPE")
    }
    if not length or int(length) == len(body):
        request = {
            "method": environ["REQUEST_METHOD"],
            "target": environ["RAW_URI"],
            "body": len(body),
            "fields": fields,
        }
        sys.stdout.write("seen " + json.dumps(request) + "\n")
    start_response("200 OK", [("Content-Length", "2"), ("Content-Type", "text/plain")])
    return [b"ok"]
