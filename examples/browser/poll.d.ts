// Type declarations of poll.js.

/** The document of a pending job. Other servers' documents may have other members, or none. */
export interface Status {
  state?: "queued" | "running";
  /** RFC 3339, UTC. */
  created?: string;
  started?: string;
  /** The run, from 1; 0 before the first. */
  attempt?: number;
  progress?: {
    /** From 0 to 1. */
    fraction?: number;
    done?: number;
    total?: number;
    message?: string;
  };
  /** The result so far. */
  partial?: unknown;
  metadata?: Record<string, unknown>;
  [member: string]: unknown;
}

/** The call that a stream of events belongs to. */
export interface Listener extends RequestInit {
  onprogress?: (status: Status) => void;
  /** Polls now, since the job has ended, or its stream is broken. */
  wake: () => void;
  /** Aborted when the call is over. */
  signal: AbortSignal;
}

/** The stream of the events of a job. While it is open, the job is polled once per minute. */
export interface Events {
  isOpen(): boolean;
}

/** Listens to the events of a job, if its pending answer announces some. */
export type Listen = (answer: Response, listener: Listener) => Events | undefined;

/** Options of `fetch`, and those of the call. The method is POST by default. */
export interface Options extends Omit<RequestInit, "signal"> {
  /** The name of the call among those of this tab. The URL by default. */
  name?: string;
  /** Keeps the body in sessionStorage until the job is accepted. Only strings can be kept. */
  keepBody?: boolean;
  /** The failures in a row after which the call is given up. 10 by default. */
  retries?: number;
  /** That of events.js, for live progress. The job is only polled by default. */
  listen?: Listen;
  /** Called for each answer about the pending job. */
  onprogress?: (status: Status) => void;
  /** Cancels the job. */
  signal?: AbortSignal;
}

/** Sends a request, and returns the response that ends its job. */
export function submit(url: string, options?: Options): Promise<Response>;

/** Continues the call that a reload has interrupted. Returns undefined if there is none. */
export function resume(url: string, options?: Options): Promise<Response> | undefined;
