import { useEffect } from "react";

import { ApiError, getJson } from "../api/client";
import type { Alerts, History, Tables } from "../api/contract";
import { follow } from "../api/live";
import { store, useSlice } from "../state/app";
import { MOST_ALERTS } from "../state/alerts";
import { FIELDS, POINTS } from "../state/series";

/** Feed the store from the live stream for as long as `token` is held. */
export function useLive(token: string): void {
  useEffect(() => {
    const stop = new AbortController();
    const { dispatch } = store;
    let tablesKnown = false;
    const fetchTables = async (): Promise<void> => {
      try {
        dispatch({ type: "tables", tables: await getJson<Tables>("api/tables", token, stop.signal) });
        tablesKnown = true;
      } catch (error) {
        // a refusal shows on the stream as well; anything else is tried again with the next connection
        if (!stop.signal.aborted && !(error instanceof ApiError)) console.warn("tables:", error);
      }
    };
    const fetchAlerts = async (): Promise<void> => {
      try {
        const { alerts } = await getJson<Alerts>(`api/alerts?most=${MOST_ALERTS}`, token, stop.signal);
        dispatch({ type: "alerts", alerts });
      } catch (error) {
        if (!stop.signal.aborted) console.warn("alerts:", error);
      }
    };
    void follow(
      token,
      {
        open: (serverMs) => {
          dispatch({ type: "open", atMs: Date.now(), serverMs });
          if (!tablesKnown) void fetchTables();
          void fetchAlerts();
        },
        alive: () => dispatch({ type: "alive", atMs: Date.now() }),
        message: (message) => dispatch({ type: "live", message }),
        lost: (why, retryMs) => dispatch({ type: "lost", why, retryAtMs: Date.now() + retryMs }),
        denied: (why) => dispatch({ type: "denied", why }),
      },
      stop.signal,
    );
    return () => stop.abort();
  }, [token]);
}

/** Fetch the chosen pack's past whenever the choice, the span or the connection is new. */
export function useHistory(token: string): void {
  const pack = useSlice((state) => state.selected);
  const hours = useSlice((state) => state.hours);
  const wanted = useSlice((state) => state.history === "loading");
  useEffect(() => {
    if (!pack || !wanted) return;
    const stop = new AbortController();
    const fields = FIELDS.join(",");
    const path = `api/packs/${encodeURIComponent(pack)}/history?hours=${hours}&points=${POINTS}&fields=${fields}`;
    getJson<History>(path, token, stop.signal).then(
      (history) => store.dispatch({ type: "history", pack, hours, history }),
      (error: unknown) => {
        if (stop.signal.aborted) return;
        console.warn("history:", error);
        store.dispatch({ type: "history", pack, hours, history: null });
      },
    );
    return () => stop.abort();
  }, [token, pack, hours, wanted]);
}
