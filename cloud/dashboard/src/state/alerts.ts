import type { Alert, FaultEvent, Pack } from "../api/contract";

/** Alerts that the feed keeps; the API has them all. */
export const MOST_ALERTS = 200;

const key = (alert: Alert): string => `${alert.pack_id}/${alert.boot_id}/${alert.stream}/${alert.seq}`;
export const alertKey = key;

const newestFirst = (a: Alert, b: Alert): number => b.raised_ms - a.raised_ms || b.seq - a.seq;

/** Two lists as one, each alert once, `newer` preferred; newest first. */
export function merge(older: readonly Alert[], newer: readonly Alert[]): readonly Alert[] {
  const all = new Map([...older, ...newer].map((alert) => [key(alert), alert]));
  return [...all.values()].sort(newestFirst).slice(0, MOST_ALERTS);
}

/** The alerts after a fault came or went. An event that is already known changes nothing. */
export function apply(alerts: readonly Alert[], event: FaultEvent): readonly Alert[] {
  if (event.fault === null) return alerts;
  if (event.raised) {
    const alert = raised(event);
    return alerts.some((other) => key(other) === key(alert)) ? alerts : merge(alerts, [alert]);
  }
  const at = alerts.findIndex(
    (alert) =>
      alert.active &&
      alert.fault === event.fault &&
      alert.pack_id === event.pack_id &&
      alert.boot_id === event.boot_id &&
      alert.seq < event.seq,
  );
  const found = alerts[at];
  return found ? alerts.with(at, { ...found, active: false, cleared_ms: event.time_utc_ms }) : alerts;
}

/** A restart ends what earlier boots of the pack had raised. */
export function restarted(alerts: readonly Alert[], pack: Pack): readonly Alert[] {
  const ended = (alert: Alert): boolean =>
    alert.active && alert.pack_id === pack.pack_id && pack.boot_id !== null && alert.boot_id < pack.boot_id;
  return alerts.some(ended) ? alerts.map((alert) => (ended(alert) ? { ...alert, active: false } : alert)) : alerts;
}

function raised(event: FaultEvent): Alert {
  return {
    kind: "fault",
    pack_id: event.pack_id,
    boot_id: event.boot_id,
    stream: "evt",
    seq: event.seq,
    severity: event.severity ?? "critical",
    name: event.name ?? `fault ${event.fault}`,
    text: event.text ?? "",
    active: true,
    raised_ms: event.time_utc_ms,
    cleared_ms: null,
    fault: event.fault,
    value: event.value,
    limit: event.limit,
    unit: event.unit ?? null,
    index: event.index,
  };
}
