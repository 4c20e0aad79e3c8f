import type { Sample } from "../api/contract";

/** One pack's past: columns over one time axis, and the reference SoC over its own. */
export interface Series {
  readonly time: readonly number[];
  readonly columns: Readonly<Record<string, readonly (number | null)[]>>;
  readonly referenceTime: readonly number[];
  readonly reference: readonly (number | null)[];
}

export const EMPTY_SERIES: Series = { time: [], columns: {}, referenceTime: [], reference: [] };

/** Signals that the page draws over time. */
export const FIELDS = ["soc", "soc_sigma", "current_a", "pack_voltage_v", "temperature_min_c", "temperature_max_c"];
/** The column that carries the reference in a history. */
export const REFERENCE = "soc_reference";
export const POINTS = 600;

interface Window {
  readonly spanMs: number;
  readonly points: number;
}

/**
 * Where a value of time `t` goes: as a new last point, over the last one while both are in the same
 * step of the window (so a long window does not grow a point a second), or nowhere when it is old.
 */
function place(time: readonly number[], t: number, window: Window): "push" | "replace" | "drop" {
  const last = time.at(-1);
  if (last === undefined) return "push";
  if (t <= last) return "drop";
  const step = window.spanMs / window.points;
  return Math.floor(t / step) === Math.floor(last / step) ? "replace" : "push";
}

/** `values` with `value` as its last point, and without its first `cut` ones. */
function put<T>(values: readonly T[], value: T, how: "push" | "replace", cut: number): T[] {
  const next = values.slice(cut, how === "replace" ? -1 : undefined);
  next.push(value);
  return next;
}

/** How many points at the start lie before the window that ends at `t`. */
function expired(time: readonly number[], t: number, window: Window): number {
  const from = t - window.spanMs;
  let cut = 0;
  // keep one point before the window, so that the line reaches the left edge
  while (cut + 1 < time.length && (time[cut + 1] ?? 0) < from) cut++;
  return cut;
}

/** The series with a live sample at its end. */
export function appendSample(series: Series, sample: Sample, window: Window): Series {
  const how = place(series.time, sample.time_utc_ms, window);
  if (how === "drop") return series;
  const cut = expired(series.time, sample.time_utc_ms, window);
  const columns: Record<string, readonly (number | null)[]> = {};
  for (const field of FIELDS) {
    const value = sample[field];
    const past = series.columns[field] ?? new Array<null>(series.time.length).fill(null);
    columns[field] = put(past, typeof value === "number" ? value : null, how, cut);
  }
  return { ...series, time: put(series.time, sample.time_utc_ms, how, cut), columns };
}

/** The series with a live reference value at its end. */
export function appendReference(series: Series, timeMs: number, soc: number, window: Window): Series {
  const how = place(series.referenceTime, timeMs, window);
  if (how === "drop") return series;
  const cut = expired(series.referenceTime, timeMs, window);
  return {
    ...series,
    referenceTime: put(series.referenceTime, timeMs, how, cut),
    reference: put(series.reference, soc, how, cut),
  };
}
