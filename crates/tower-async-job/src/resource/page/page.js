
"use strict";
(() => {
  const part = (id) => document.getElementById(id);
  const [heading, bar, cancel] = ["heading", "bar", "cancel"].map(part);
  const { age, left, delay, attempt: first } = document.querySelector("main").dataset;
  const job = location.pathname;
  const accepted = performance.now() - age;
  let end = left && performance.now() + Number(left);
  let wait = Number(delay);
  let run = Number(first);
  let over = false;
  let timer;

  const text = (id, content) => {
    // What has not changed is not announced again.
    if (part(id).textContent !== content) part(id).textContent = content;
  };
  const spoken = (ms) => {
    const s = Math.floor(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60);
    return h ? `${h} h ${m % 60} min` : m ? `${m} min ${s % 60} s` : `${s} s`;
  };
  const tick = () => {
    const now = performance.now();
    text("elapsed", spoken(now - accepted));
    if (end) text("remaining", end > now ? `about ${spoken(end - now + 999)}` : "any moment");
  };

  const show = ({ state, created, started, attempt = 0, progress = {} }) => {
    const { fraction, message = "" } = progress;
    if (state === "queued" ? attempt : run && attempt !== run) {
      // The job begins anew.
      end = 0;
      text("remaining", "not known");
    }
    run = attempt;
    text("heading", heading.dataset[state]);
    text("message", message);
    document.title = heading.textContent;
    if (fraction === undefined) {
      bar.removeAttribute("value");
    } else {
      bar.value = fraction;
      document.title = `${Math.floor(fraction * 100)} % · ${document.title}`;
    }
    if (fraction > 0 && started) {
      const now = performance.now();
      const ran = now - accepted - (Date.parse(started) - Date.parse(created));
      end = now + ran * (1 / fraction - 1);
    }
    tick();
  };

  const finish = (state) => {
    over = true;
    clearTimeout(timer);
    clearInterval(clock);
    text("heading", heading.dataset[state] || heading.dataset.done);
    document.title = heading.textContent;
    for (const id of ["message", "trouble", "hint"]) text(id, "");
    bar.hidden = cancel.hidden = true;
    text("remaining", "none");
    if (state !== "cancelled") location.reload();
  };

  const poll = async () => {
    try {
      const answer = await fetch(`${job}/status`, { headers: { Accept: "application/json" } });
      const state = answer.headers.get("Job-Status");
      if (over) return;
      if (!state) throw answer.status;
      if (state !== "queued" && state !== "running") return finish(state);
      const status = await answer.json();
      if (over) return;
      text("trouble", "");
      show(status);
      wait = status.retry_after_ms || wait;
    } catch {
      text("trouble", "The server cannot be reached. Trying again…");
      wait = Math.min(2 * wait, 60000);
    }
    plan();
  };
  const plan = () => {
    timer = setTimeout(poll, Math.min(Math.max(wait, 100), 2 ** 31 - 1));
  };

  cancel.onclick = async () => {
    cancel.disabled = true;
    const answer = await fetch(job, { method: "DELETE" }).catch(() => ({}));
    if (over) return;
    if (answer.ok) return finish("cancelled");
    cancel.disabled = false;
    text("trouble", "It could not be cancelled.");
  };
  cancel.hidden = false;

  const clock = setInterval(tick, 1000);
  // Refresh is for browsers without script; here it would undo what is updated in place.
  addEventListener("load", () => setTimeout(() => stop()));
  plan();
})();
