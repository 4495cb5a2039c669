import http.server, sys, threading, time, urllib.error, urllib.request

class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        order = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        threading.Thread(target=work, args=(order, self.headers["Job-Result-Url"])).start()
        self.send_response(202)
        self.send_header("Job-Accepted", "result-later")
        self.end_headers()

def work(order, url):  # It may as well put both into a queue, for other programs.
    result = urllib.request.Request(url, order.upper(), {"Content-Type": "text/plain"}, method="PUT")
    while True:
        try: return urllib.request.urlopen(result)
        except urllib.error.HTTPError as error:
            if error.code != 503: return  # Nobody waits for it any more.
        except OSError: pass  # The gateway restarts.
        time.sleep(1)

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
