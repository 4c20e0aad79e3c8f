import type { ActiveFault, Alert, History, LiveMessage, Pack, PackWithCells, Sample, Tables } from "../api/contract";
import { list, Lookup } from "../lib/tables";
import { apply, merge, restarted } from "./alerts";
import { byPlace } from "./order";
import { appendReference, appendSample, EMPTY_SERIES, POINTS, REFERENCE, type Series } from "./series";

export type Connection =
  | { readonly kind: "connecting" }
  | { readonly kind: "open"; readonly heardAtMs: number }
  | { readonly kind: "lost"; readonly why: string; readonly retryAtMs: number }
  | { readonly kind: "denied"; readonly why: string };

export interface State {
  readonly connection: Connection;
  readonly lookup: Lookup | null;
  readonly packs: ReadonlyMap<string, Pack>;
  /** Newest cell arrays of each pack. */
  readonly cells: ReadonlyMap<string, Sample>;
  /** The first snapshot has come: from here an empty list means that there are no packs. */
  readonly ready: boolean;
  /** Newest first. */
  readonly alerts: readonly Alert[];
  /** Server's clock less this machine's. */
  readonly clockOffsetMs: number;
  readonly selected: string | null;
  readonly hours: number;
  readonly series: Series;
  readonly history: "idle" | "loading" | "loaded" | "failed";
}

export type Action =
  | { readonly type: "open"; readonly atMs: number; readonly serverMs: number | null }
  | { readonly type: "alive"; readonly atMs: number }
  | { readonly type: "again" }
  | { readonly type: "lost"; readonly why: string; readonly retryAtMs: number }
  | { readonly type: "denied"; readonly why: string }
  | { readonly type: "tables"; readonly tables: Tables }
  | { readonly type: "alerts"; readonly alerts: readonly Alert[] }
  | { readonly type: "live"; readonly message: LiveMessage }
  | { readonly type: "select"; readonly pack: string }
  | { readonly type: "hours"; readonly hours: number }
  | { readonly type: "history"; readonly pack: string; readonly hours: number; readonly history: History | null };

export const HOURS = [0.25, 1, 6, 24] as const;

export const initialState = (selected: string | null = null): State => ({
  connection: { kind: "connecting" },
  lookup: null,
  packs: new Map(),
  cells: new Map(),
  ready: false,
  alerts: [],
  clockOffsetMs: 0,
  selected,
  hours: HOURS[0],
  series: EMPTY_SERIES,
  history: "idle",
});

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case "again":
      return initialState(state.selected);
    case "open": {
      const clockOffsetMs = action.serverMs === null ? state.clockOffsetMs : action.serverMs - action.atMs;
      return { ...state, clockOffsetMs, connection: { kind: "open", heardAtMs: action.atMs } };
    }
    case "alive":
      return { ...state, connection: { kind: "open", heardAtMs: action.atMs } };
    case "lost":
      return { ...state, connection: { kind: "lost", why: action.why, retryAtMs: action.retryAtMs } };
    case "denied":
      return { ...state, connection: { kind: "denied", why: action.why } };
    case "tables":
      return { ...state, lookup: new Lookup(action.tables) };
    case "alerts":
      return { ...state, alerts: merge(state.alerts, action.alerts) };
    case "live":
      return live(state, action.message);
    case "select":
      return action.pack === state.selected ? state : anew({ ...state, selected: action.pack });
    case "hours":
      return action.hours === state.hours ? state : anew({ ...state, hours: action.hours });
    case "history":
      return past(state, action.pack, action.hours, action.history);
  }
}

/** A pack or a span was chosen: its past is to be fetched. */
const anew = (state: State): State => ({ ...state, series: EMPTY_SERIES, history: "loading" });

const span = (state: State) => ({ spanMs: state.hours * 3_600_000, points: POINTS });

function live(state: State, message: LiveMessage): State {
  switch (message.event) {
    case "snapshot":
      return snapshot(state, message.data.packs);
    case "pack": {
      const pack = message.data;
      const old = state.packs.get(pack.pack_id);
      const next = old && older(pack.latest, old.latest) ? { ...pack, latest: old.latest, faults: old.faults } : pack;
      const packs = new Map(state.packs).set(pack.pack_id, next);
      const selected = state.selected ?? pack.pack_id;
      const chosen = selected === state.selected ? state : anew({ ...state, selected });
      return { ...chosen, packs, alerts: restarted(state.alerts, pack) };
    }
    case "sample":
      return tele(state, message.data.pack_id, message.data);
    case "cells": {
      const sample = message.data;
      if (older(sample, state.cells.get(sample.pack_id) ?? null)) return state;
      return { ...state, cells: new Map(state.cells).set(sample.pack_id, sample) };
    }
    case "event":
      return { ...state, alerts: apply(state.alerts, message.data) };
    case "reference": {
      const { pack_id, time_utc_ms, soc } = message.data;
      if (pack_id !== state.selected) return state;
      return { ...state, series: appendReference(state.series, time_utc_ms, soc, span(state)) };
    }
    default:
      return state; // a newer server may say more than this page knows
  }
}

/** Everything anew, after each connection. */
function snapshot(state: State, packs: readonly PackWithCells[]): State {
  const here = packs.some((pack) => pack.pack_id === state.selected);
  return anew({
    ...state,
    packs: new Map(packs.map((pack) => [pack.pack_id, pack])),
    cells: new Map(packs.flatMap((pack) => (pack.cells_latest ? [[pack.pack_id, pack.cells_latest]] : []))),
    ready: true,
    selected: here ? state.selected : ([...packs].sort(byPlace)[0]?.pack_id ?? null),
  });
}

/** A pack sample. Late ones (a re-send) never replace newer ones. */
function tele(state: State, id: string, sample: Sample): State {
  const old = state.packs.get(id);
  if (!old || older(sample, old.latest)) return state;
  const ids = list(sample, "faults");
  const same = ids.length === old.faults.length && ids.every((fault, i) => fault === old.faults[i]?.id);
  const faults = same ? old.faults : ids.map((fault) => named(state.lookup, fault));
  const packs = new Map(state.packs).set(id, { ...old, latest: sample, faults });
  const series = id === state.selected ? appendSample(state.series, sample, span(state)) : state.series;
  return { ...state, packs, series };
}

function named(lookup: Lookup | null, id: number): ActiveFault {
  const row = lookup?.fault(id);
  return { id, name: row?.name ?? `fault ${id}`, severity: row?.severity ?? "critical" };
}

type Timed = { readonly time_utc_ms: number } | null;
const older = (next: Timed, old: Timed): boolean =>
  old !== null && (next === null || next.time_utc_ms < old.time_utc_ms);

/** The past has come (or not): put it before what was heard live while it was under way. */
function past(state: State, pack: string, hours: number, history: History | null): State {
  if (pack !== state.selected || hours !== state.hours) return state;
  if (!history) return { ...state, history: "failed" };
  const time = (history.columns["time_utc_ms"] ?? []).map(Number);
  const reference = history.columns[REFERENCE] ?? [];
  const referenced = time.flatMap((t, i) => {
    const soc = reference[i];
    return typeof soc === "number" ? [[t, soc] as const] : [];
  });
  let series: Series = {
    time,
    columns: history.columns,
    referenceTime: referenced.map(([t]) => t),
    reference: referenced.map(([, soc]) => soc),
  };
  const heard = state.series;
  heard.time.forEach((time_utc_ms, i) => {
    const values = Object.entries(heard.columns).map(([field, column]) => [field, column[i] ?? null]);
    series = appendSample(series, { time_utc_ms, ...Object.fromEntries(values) }, span(state));
  });
  heard.referenceTime.forEach((t, i) => {
    series = appendReference(series, t, heard.reference[i] ?? 0, span(state));
  });
  return { ...state, series, history: "loaded" };
}
