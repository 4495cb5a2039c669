// Type declarations of events.js.

import type { Events, Listener } from "./poll.js";

/** Listens to the events of a job, if its pending answer announces some. */
export function listen(answer: Response, listener: Listener): Events | undefined;
