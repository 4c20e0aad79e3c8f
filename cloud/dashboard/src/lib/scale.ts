/** A linear map from a domain to pixels. */
export type Scale = (value: number) => number;

export function linear(d0: number, d1: number, r0: number, r1: number): Scale {
  const slope = d1 === d0 ? 0 : (r1 - r0) / (d1 - d0);
  return (value) => r0 + (value - d0) * slope;
}

/** Round values inside [low, high], about `count` of them, at steps of 1, 2 or 5 times a power of ten. */
export function ticks(low: number, high: number, count: number): number[] {
  if (!(high > low) || count < 1) return [low];
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= raw) ?? 10;
  const step = factor * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

const TIME_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** Moments in [from, to] ms, about `count`, at steps a clock face shows, on the reader's local time. */
export function timeTicks(fromMs: number, toMs: number, count: number): number[] {
  const raw = (toMs - fromMs) / 1000 / count;
  const step = (TIME_STEPS_S.find((candidate) => candidate >= raw) ?? 86400) * 1000;
  const zone = new Date(toMs).getTimezoneOffset() * 60_000;
  const result: number[] = [];
  for (let t = Math.ceil((fromMs - zone) / step) * step + zone; t <= toMs; t += step) result.push(t);
  return result;
}

/** The least and the greatest finite number, widened to span at least `least`; null when there is none. */
export function extent(values: Iterable<number | null | undefined>, least = 0): [number, number] | null {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null || value === undefined || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return null;
  const missing = Math.max(0, least - (high - low)) / 2;
  return [low - missing, high + missing];
}

/** An SVG path through the points; a null value or a pause longer than `gapMs` lifts the pen. */
export function linePath(
  time: readonly number[],
  values: readonly (number | null | undefined)[],
  x: Scale,
  y: Scale,
  gapMs: number,
): string {
  let path = "";
  let last: number | null = null;
  for (let i = 0; i < time.length; i++) {
    const t = time[i];
    const value = values[i];
    if (t === undefined || value === null || value === undefined) {
      last = null;
      continue;
    }
    const pen: string = last === null || t - last > gapMs ? "M" : "L";
    path += `${pen}${x(t).toFixed(1)},${y(value).toFixed(1)}`;
    last = t;
  }
  return path;
}

/** Index of the time nearest to `t` in a rising array; -1 when it is empty. */
export function nearest(time: readonly number[], t: number): number {
  let low = 0;
  let high = time.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((time[middle] ?? 0) < t) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return time.length ? 0 : -1;
  if (low === time.length) return low - 1;
  return t - (time[low - 1] ?? 0) <= (time[low] ?? 0) - t ? low - 1 : low;
}
