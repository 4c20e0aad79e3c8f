/** Shown where a value is unknown. */
export const UNKNOWN = "–";

const known = (value: number | null | undefined): value is number =>
  typeof value === "number" && Number.isFinite(value);

/** A number with a fixed count of decimals and a real minus sign; a zero never carries one. */
export function fixed(value: number | null | undefined, decimals: number): string {
  if (!known(value)) return UNKNOWN;
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "\u2212");
}

/** As `fixed`, with a plus sign before what is above zero: a current that charges. */
export function signed(value: number | null | undefined, decimals: number): string {
  const text = fixed(value, decimals);
  return known(value) && Number(value.toFixed(decimals)) > 0 ? `+${text}` : text;
}

/** A fraction 0..1 in percent, without the sign. */
export const percent = (value: number | null | undefined, decimals = 1): string =>
  known(value) ? fixed(value * 100, decimals) : UNKNOWN;

/** A value with its unit, or the sign for unknown alone. */
export const withUnit = (text: string, unit: string): string => (text === UNKNOWN ? text : `${text}\u00a0${unit}`);

/** Units as the tables spell them -> as they are printed. */
const PRINTED: Readonly<Record<string, string>> = { degC: "°C", kOhm: "kΩ", Ohm: "Ω", "1": "" };
export const printedUnit = (unit: string): string => PRINTED[unit] ?? unit;

/** Device units of the parameter table -> [SI unit, integers per unit, decimals]. */
const RAW: Readonly<Record<string, readonly [string, number, number]>> = {
  mV: ["V", 1000, 3],
  mA: ["A", 1000, 2],
  "0.1 degC": ["°C", 10, 1],
  mAh: ["Ah", 1000, 2],
};

/** A raw value of a parameter's unit (mV, mA, 0.1 degC, ms, %) in SI. */
export const toSi = (raw: number, unit: string): number => raw / (RAW[unit]?.[1] ?? 1);

/** A raw value of a parameter's unit, in SI and with its unit: 4250 mV -> "4.250 V". */
export function rawWithUnit(raw: number | null, unit: string | null): string {
  if (raw === null) return UNKNOWN;
  const [printed, perUnit, decimals] = RAW[unit ?? ""] ?? [printedUnit(unit ?? ""), 1, 0];
  return withUnit(fixed(raw / perUnit, decimals), printed);
}

/** How long ago, in words that stay short: "now", "4 s ago", "3 min ago", "2 h ago", "5 d ago". */
export function age(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 2) return "now";
  if (seconds < 90) return `${seconds}\u00a0s ago`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)}\u00a0min ago`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)}\u00a0h ago`;
  return `${Math.round(seconds / 86_400)}\u00a0d ago`;
}

/** Time of day of the reader's place. */
export function clock(ms: number, seconds = true): string {
  return new Date(ms).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    hour12: false,
    ...(seconds ? { second: "2-digit" } : {}),
  });
}

/** "cell_over_voltage" -> "Cell over voltage". */
export function words(name: string): string {
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** MicroPython says "Board name with CPU": the CPU is what tells machines apart. */
export function shortMachine(machine: string | null): string {
  if (!machine) return "machine unknown";
  return machine.split(" with ").at(-1) ?? machine;
}

/** Time of day, with the date before it when that is not today. */
export function moment(ms: number, nowMs: number = Date.now()): string {
  const day = new Date(ms);
  if (day.toDateString() === new Date(nowMs).toDateString()) return clock(ms);
  return `${day.toLocaleDateString([], { day: "numeric", month: "short" })} ${clock(ms)}`;
}
