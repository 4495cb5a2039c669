// Sends a request to a slow HTTP route, and follows its job across reloads. See README.md.

/** Sends a request, and returns the response that ends its job. */
export async function submit(url, options = {}) {
  const { body = null, keepBody } = options;
  const isKept = body === null || (keepBody && typeof body === "string");
  const key = `"${crypto.getRandomValues(new Uint8Array(16)).join("-")}"`;
  return follow(url, { ...options, body }, { key, body: isKept ? body : undefined });
}

/** Continues the call that a reload has interrupted. Returns undefined if there is none. */
export function resume(url, options = {}) {
  const entry = recall(options.name ?? url);
  const body = entry?.body !== undefined ? entry.body : options.body;
  return entry && follow(url, { ...options, body }, entry);
}

async function follow(url, options, entry) {
  const { name = url, onprogress, signal, retries = 10, keepBody, body, ...init } = options;
  signal?.throwIfAborted();
  if (!entry.job && body === undefined) throw new Error("the body was not kept for a reload");
  const headers = new Headers(init.headers);
  const kept = [...headers].filter(([field]) => !/^(content|if)-|^(prefer|range)$/.test(field));
  const poll = { ...init, method: "GET", headers: kept, cache: "no-store" };
  headers.set("Idempotency-Key", entry.key);
  const submission = { method: "POST", ...init, headers, body };
  let source;
  try {
    for (let failures = 0; ; ) {
      keep(name, entry); // Before the request, so that a reload finds the job of a lost answer.
      if (entry.due && !signal?.aborted) await sleep(entry.due - Date.now(), signal, source);
      const answer = await (entry.job ? ask(entry.job, { ...poll, signal }) : ask(url, submission));
      const { isPending, isFailure, job, delay } = read(answer, url, entry.job);
      if (signal?.aborted) {
        keep(name, null);
        if (job) await ask(job, { ...poll, method: "DELETE", keepalive: true });
        throw signal.reason;
      }
      failures = isFailure && !(job && delay) ? failures + 1 : 0;
      if (!isPending && (!isFailure || failures > retries)) {
        if (!isFailure && !(job && [401, 403].includes(answer.status))) keep(name, null);
        if (answer.error) throw answer.error;
        return answer;
      }
      const spread = isPending ? 1 : 1 + Math.random() / 5;
      const due = Date.now() + (delay || 1000 * 1.5 ** Math.min(failures, 8)) * spread;
      Object.assign(entry, { job, due, body: job ? null : entry.body });
      if (isPending) source ??= listen(answer, poll, onprogress);
      if (isPending) onprogress?.(await answer.json().catch(() => ({})));
    }
  } finally {
    source?.close();
  }
}

// A response whose body breaks off is a failure too, so that each is read to its end.
const whole = (answer) => answer.clone().arrayBuffer().then(() => answer);
const failure = (error) => Object.assign(Response.error(), { error });
const ask = (url, init) => fetch(url, init).then(whole).catch(failure);

function read({ status, headers, url: base }, url, known) {
  const [state, after] = [headers.get("Job-Status"), headers.get("Retry-After")];
  const next = headers.get("Location") ?? headers.get("Content-Location") ?? known;
  const isPending = state ? /^(queued|running)$/.test(state) : status === 202 && Boolean(next);
  const isFailure = !state && [0, 408, 429, 502, 503, 504].includes(status);
  const job = isPending ? new URL(next, base).href : known;
  const { origin } = new URL(url, location);
  if (job && new URL(job).origin !== origin) throw new Error(`the job is elsewhere: ${job}`);
  const asked = headers.get("retry-after-ms") ?? (after * 1000 || Date.parse(after) - Date.now());
  return { isPending, isFailure, job, delay: asked > 0 && Math.min(Math.max(asked, 100), 900_000) };
}

/** Listens to the events of the job, if the answer announces some. Without them, it is polled. */
function listen({ headers, url }, { headers: sent, credentials }, onprogress) {
  const [, target] = /<([^>]*)>\s*;\s*rel="?monitor"?/i.exec(headers.get("Link")) ?? [];
  const { href, origin } = new URL(target ?? "", url);
  // An EventSource sends no header of the caller.
  const isAllowed = origin === new URL(url).origin && !new Headers(sent).has("Authorization");
  if (target === undefined || !isAllowed) return undefined;
  const source = new EventSource(href, { withCredentials: credentials === "include" });
  source.addEventListener("progress", ({ data }) => onprogress?.(JSON.parse(data)));
  source.addEventListener("end", () => source.close());
  return source;
}

async function sleep(ms, signal, source) {
  const isLive = source?.readyState === 1;
  const over = new AbortController(); // As the options of the listeners, it removes them.
  await new Promise((wake) => {
    setTimeout(wake, isLive ? 60_000 : Math.min(ms, 900_000));
    source?.addEventListener("end", wake, over);
    if (isLive) source.addEventListener("error", wake, over);
    signal?.addEventListener("abort", wake, over);
    document.addEventListener("visibilitychange", () => document.hidden || wake(), over);
  });
  over.abort();
}

function keep(name, entry) {
  // The storage may be full, or denied.
  try { sessionStorage.setItem(`poll ${name}`, JSON.stringify(entry)); } catch {}
}

function recall(name) {
  try { return JSON.parse(sessionStorage.getItem(`poll ${name}`)) ?? undefined; } catch {}
}
