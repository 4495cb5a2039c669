import http.client, json, urllib.parse

def report(url, **members):
    """Reports the progress of a job at its Job-Progress-Url. Returns whether the job is still wanted."""
    if not url: return True  # The request cannot become a job.
    to = urllib.parse.urlsplit(url)
    gateway = http.client.HTTPConnection(to.hostname, to.port, timeout=5)
    try:
        gateway.request("PUT", to.path, json.dumps(members), {"Content-Type": "application/json"})
        answer = gateway.getresponse()
    except OSError: return True  # The work does not depend on its reports.
    finally: gateway.close()
    return answer.status not in (404, 410) and answer.headers["Job-Status"] != "cancelled"
