import { ApiError, request } from "./client";
import type { LiveMessage } from "./contract";
import { SseParser } from "./sse";

/** How the stream tells of itself. */
export interface LiveListener {
  /** Connected; `serverMs` is the server's clock, whole seconds, where it tells. */
  readonly open: (serverMs: number | null) => void;
  /** Bytes came, if only a heartbeat. */
  readonly alive: () => void;
  readonly message: (message: LiveMessage) => void;
  /** The stream broke; the next attempt is in `retryMs`. */
  readonly lost: (why: string, retryMs: number) => void;
  /** The token is no good; there is no next attempt. */
  readonly denied: (why: string) => void;
}

/** Silence after which a connection counts as dead, though nobody closed it. */
export const DEAD_MS = 40_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;

/** Wait before attempt `attempt` (from 0): doubling, bounded, and spread so that pages do not return in step. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
  return Math.round(full * (0.5 + random() / 2));
}

/** Follow the live stream until `stop` aborts, reconnecting as often as it takes. */
export async function follow(token: string, listener: LiveListener, stop: AbortSignal): Promise<void> {
  for (let attempt = 0; !stop.aborted; attempt++) {
    let why = "the server closed the stream";
    try {
      await once(token, stop, {
        ...listener,
        message: (message) => {
          attempt = 0; // a stream that brings data is a good one
          listener.message(message);
        },
      });
    } catch (error) {
      if (stop.aborted) return;
      if (error instanceof ApiError && error.denied) {
        listener.denied(error.message);
        return;
      }
      why = error instanceof Error ? error.message : String(error);
    }
    if (stop.aborted) return;
    const wait = backoffMs(attempt);
    listener.lost(why, wait);
    await pause(wait, stop);
  }
}

async function once(token: string, stop: AbortSignal, listener: LiveListener): Promise<void> {
  const dead = new AbortController();
  let timer = 0;
  const rewind = (): void => {
    clearTimeout(timer);
    timer = window.setTimeout(() => dead.abort(new Error("the stream fell silent")), DEAD_MS);
  };
  rewind();
  try {
    const response = await request("api/live", token, AbortSignal.any([stop, dead.signal]));
    if (!response.body) throw new Error("the server sent no stream");
    const date = Date.parse(response.headers.get("Date") ?? "");
    listener.open(Number.isNaN(date) ? null : date);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new SseParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rewind();
      listener.alive();
      for (const { event, data } of parser.push(value)) {
        listener.message({ event, data: JSON.parse(data) as unknown } as LiveMessage);
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Sleep that ends early when the page is stopped or the network comes back. */
function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      stop.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    window.addEventListener("online", done);
    stop.addEventListener("abort", done);
  });
}
