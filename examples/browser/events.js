// Live progress for poll.js: submit(url, { listen }). See README.md.

/** Listens to the events of a job, if the answer announces some. Without them, it is polled. */
export function listen({ headers, url }, { headers: sent, credentials, onprogress, wake, signal }) {
  const [, target] = /<([^>]*)>\s*;\s*rel="?monitor"?/i.exec(headers.get("Link")) ?? [];
  if (target === undefined) return undefined;
  const { href, origin } = new URL(target, url);
  // An EventSource sends no header of the caller.
  if (origin !== new URL(url).origin || new Headers(sent).has("Authorization")) return undefined;
  const source = new EventSource(href, { withCredentials: credentials === "include" });
  let isOpen = false;
  const stop = () => { isOpen = false; wake(); };
  source.addEventListener("open", () => { isOpen = true; });
  source.addEventListener("progress", ({ data }) => onprogress?.(JSON.parse(data)));
  source.addEventListener("end", () => { source.close(); stop(); });
  source.addEventListener("error", () => isOpen && stop());
  signal.addEventListener("abort", () => source.close());
  return { isOpen: () => isOpen };
}
