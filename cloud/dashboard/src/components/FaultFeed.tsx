import { memo, type ReactElement } from "react";

import type { Alert } from "../api/contract";
import { clock, moment, rawWithUnit, UNKNOWN, words } from "../lib/format";
import type { Lookup } from "../lib/tables";
import { store, useSlice } from "../state/app";
import { alertKey } from "../state/alerts";

/** Faults of every pack as they come and go, newest first. */
export function FaultFeed(): ReactElement {
  const alerts = useSlice((state) => state.alerts);
  const lookup = useSlice((state) => state.lookup);
  return (
    <section className="feed" aria-labelledby="feed-title" data-testid="fault-feed">
      <h2 id="feed-title">Faults</h2>
      {alerts.length === 0 && <p className="none">No fault has been reported.</p>}
      <ol aria-live="polite" aria-relevant="additions">
        {lookup && alerts.map((alert) => <FaultRow key={alertKey(alert)} alert={alert} lookup={lookup} />)}
      </ol>
    </section>
  );
}

/** How it stands with an alert, in words. */
function standing(alert: Alert): string {
  if (alert.active) return "active";
  if (alert.kind === "conflict") return "noted";
  return alert.cleared_ms === null ? "ended by a restart" : `cleared ${clock(alert.cleared_ms)}`;
}

const FaultRow = memo(function FaultRow({ alert, lookup }: { alert: Alert; lookup: Lookup }): ReactElement {
  const part = lookup.part(alert.fault, alert.index);
  const value = rawWithUnit(alert.value, alert.unit);
  const limit = rawWithUnit(alert.limit, alert.unit);
  return (
    <li
      className={`fault ${alert.severity} ${alert.active ? "active" : "past"}`}
      data-testid="fault-row"
      data-fault={alert.name}
      data-active={alert.active}
    >
      <p>
        <span className="severity">{words(alert.severity)}</span>
        <span className="standing">{standing(alert)}</span>
        <time dateTime={new Date(alert.raised_ms).toISOString()}>{moment(alert.raised_ms)}</time>
      </p>
      <p className="what" title={alert.text}>
        {words(alert.name)}
      </p>
      <p className="reading">
        <button type="button" onClick={() => store.dispatch({ type: "select", pack: alert.pack_id })}>
          {alert.pack_id}
        </button>
        {part && <span>{part}</span>}
        {value !== UNKNOWN && <b>{value}</b>}
        {limit !== UNKNOWN && <span className="limit">limit {limit}</span>}
      </p>
    </li>
  );
});
