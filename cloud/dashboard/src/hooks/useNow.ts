import { useSyncExternalStore } from "react";

const PERIOD_MS = 1000;
const listeners = new Set<() => void>();
let now = Date.now();
let timer = 0;

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) {
    now = Date.now();
    timer = window.setInterval(() => {
      now = Date.now();
      for (const each of listeners) each();
    }, PERIOD_MS);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) clearInterval(timer);
  };
}

/** This machine's clock, once a second; one timer for every user of it. */
export const useNow = (): number => useSyncExternalStore(subscribe, () => now);
