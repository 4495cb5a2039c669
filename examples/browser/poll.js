// Sends a request to a slow HTTP route, and follows its job across reloads. See README.md.

/** Sends a request, and returns the response that ends its job. */
export function submit(url, { body = null, ...options } = {}) {
  const key = `"${crypto.getRandomValues(new Uint8Array(16)).join("-")}"`;
  const isKept = body === null || (options.keepBody && typeof body === "string");
  return follow(url, { ...options, body }, isKept ? { key, body } : { key });
}

/** Continues the call that a reload has interrupted. Returns undefined if there is none. */
export function resume(url, options = {}) {
  const entry = safely(() => JSON.parse(sessionStorage.getItem(`poll ${options.name ?? url}`)));
  return entry ? follow(url, { ...options, ...entry }, entry) : undefined;
}

// The storage may be full, or denied.
const safely = (action) => { try { return action(); } catch {} };

async function follow(url, options, entry) {
  const { name = url, onprogress, signal, retries = 10, listen, body, ...init } = options;
  signal?.throwIfAborted();
  if (!entry.job && body === undefined) throw new Error("the body was not kept for a reload");
  const keep = (call) => safely(() => sessionStorage.setItem(`poll ${name}`, JSON.stringify(call)));

  const headers = new Headers(init.headers);
  headers.set("Idempotency-Key", entry.key);
  const submission = { method: "POST", ...init, headers, body };
  const isKept = ([field]) => !/^(content|if|idempotency)-|^(prefer|range)$/.test(field);
  const poll = { ...init, method: "GET", headers: [...headers].filter(isKept), cache: "no-store" };

  let wake = () => {};
  const sleep = (ms) => new Promise((done) => { wake = done; setTimeout(done, ms); });
  const over = new AbortController(); // As the option of the listeners, it removes them.
  signal?.addEventListener("abort", () => wake(), over);
  document.addEventListener("visibilitychange", () => document.hidden || wake(), over);
  try {
    for (let failures = 0, events; ; ) {
      // Before the request, so that a reload finds the job of a lost answer.
      keep({ ...entry, body: entry.job ? undefined : entry.body });
      const ms = events?.isOpen() ? 60_000 : Math.min(entry.due - Date.now(), 900_000);
      if (ms > 0 && !signal?.aborted) await sleep(ms);
      const answer = await (entry.job ? ask(entry.job, { ...poll, signal }) : ask(url, submission));
      const { job, isPending, isOver, asked } = read(answer, url, entry.job);

      // A poll that is refused can be continued after a login.
      if (signal?.aborted || (isOver && !(job && [401, 403].includes(answer.status)))) keep(null);
      if (signal?.aborted && job) await ask(job, { ...poll, method: "DELETE", keepalive: true });
      signal?.throwIfAborted();
      failures = isPending || (job && asked > 0) ? 0 : failures + 1;
      if (isOver || failures > retries) return answer.error ? Promise.reject(answer.error) : answer;

      const pause = asked > 0 ? Math.max(asked, 100) : 1000 * 1.5 ** Math.min(failures, 8);
      entry = { ...entry, job, due: Date.now() + pause * (isPending ? 1 : 1 + Math.random() / 5) };
      events ??= listen?.(answer, { ...poll, onprogress, wake: () => wake(), signal: over.signal });
      if (isPending) onprogress?.(await answer.json().catch(() => ({})));
    }
  } finally {
    over.abort();
  }
}

// A response whose body breaks off is a failure too, so that each is read to its end.
const whole = (answer) => answer.clone().arrayBuffer().then(() => answer);
const failure = (error) => Object.assign(Response.error(), { error });
const ask = (url, init) => fetch(url, init).then(whole).catch(failure);

function read({ status, headers, url: base }, url, known) {
  const [state, after] = [headers.get("Job-Status"), headers.get("Retry-After")];
  const next = headers.get("Location") ?? headers.get("Content-Location") ?? known;
  const isPending = Boolean(next) && (state ? /^(queued|running)$/.test(state) : status === 202);
  const isOver = !isPending && (state || ![0, 408, 429, 502, 503, 504].includes(status));
  const job = isPending ? new URL(next, base).href : known;
  const { origin } = new URL(url, location);
  if (job && new URL(job).origin !== origin) throw new Error(`the job is elsewhere: ${job}`);
  const asked = headers.get("retry-after-ms") ?? (after * 1000 || Date.parse(after) - Date.now());
  return { job, isPending, isOver, asked };
}
