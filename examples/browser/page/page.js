import { listen } from "./events.js";
import { resume, submit } from "./poll.js";

const part = (id) => document.getElementById(id);
let controller;

// The same options for a new call and for the continuation after a reload.
const options = () => {
  controller = new AbortController();
  return {
    headers: { "Content-Type": "application/json" },
    listen,
    keepBody: true, // It has no secrets, and is short.
    onprogress: ({ state, progress = {} }) => {
      const { fraction, message = "" } = progress;
      show("running", state === "queued" ? "Waiting" : "Writing", message, fraction);
    },
    signal: controller.signal,
  };
};

function show(state, heading, message, fraction, result = "") {
  document.body.dataset.state = state;
  const isRunning = state === "running";
  part("submit").disabled = isRunning;
  part("cancel").disabled = !isRunning;
  text("state", heading);
  text("message", message);
  text("result", result);
  if (fraction === undefined) part("bar").removeAttribute("value");
  else part("bar").value = fraction;
}

function text(id, content) {
  // Text that has not changed is not announced again.
  if (part(id).textContent !== content) part(id).textContent = content;
}

async function follow(call) {
  try {
    const response = await call;
    if (response.ok) return show("done", "Done", "", 1, await response.text());
    const problem = await response.json().catch(() => ({}));
    show("failed", "Failed", problem.detail ?? problem.title ?? `Status ${response.status}`, 0);
  } catch (error) {
    if (error.name === "AbortError") show("cancelled", "Cancelled", "", 0);
    else show("failed", "Not finished", `${error.message}. Reload the page to continue.`, 0);
  }
}

part("order").addEventListener("submit", (event) => {
  event.preventDefault();
  const order = {
    title: part("title").value,
    chapters: part("chapters").valueAsNumber,
    fails: part("fails").checked,
  };
  show("running", "Sending", "");
  follow(submit("/reports", { ...options(), body: JSON.stringify(order) }));
});
part("cancel").addEventListener("click", () => controller.abort());

const interrupted = resume("/reports", options());
if (interrupted) {
  show("running", "Continuing after a reload", "");
  follow(interrupted);
}
