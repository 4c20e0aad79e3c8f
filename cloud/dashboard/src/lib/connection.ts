import type { Connection } from "../state/reducer";
import { age } from "./format";

/** Silence, heartbeats (every 10 s) included, after which what is shown must not be called live. */
export const STALE_MS = 15_000;

interface Shown {
  readonly tone: "live" | "wait" | "stale";
  readonly text: string;
  readonly detail: string;
}

/** What the connection is called at `now`. */
export function describe(connection: Connection, now: number): Shown {
  switch (connection.kind) {
    case "connecting":
      return { tone: "wait", text: "Connecting", detail: "" };
    case "denied":
      return { tone: "stale", text: "Refused", detail: connection.why };
    case "lost": {
      const seconds = Math.max(0, Math.ceil((connection.retryAtMs - now) / 1000));
      const when = seconds > 0 ? `in ${seconds}\u00a0s` : "now";
      return { tone: "wait", text: "Reconnecting", detail: `${when}: ${connection.why}` };
    }
    case "open": {
      const silent = now - connection.heardAtMs;
      if (silent <= STALE_MS) return { tone: "live", text: "Live", detail: "" };
      return { tone: "stale", text: "Stale", detail: `last heard ${age(silent)}` };
    }
  }
}
