import type { ReactElement } from "react";

import type { Sample } from "../api/contract";
import { fixed, UNKNOWN, withUnit, words } from "../lib/format";
import { scalar, type Lookup } from "../lib/tables";

interface Props {
  readonly sample: Sample | null;
  readonly lookup: Lookup;
}

/** What the pack allows and asks for: current limits with what holds them down, charge, balancing, cooling. */
export function Limits({ sample, lookup }: Props): ReactElement {
  return (
    <section className="panel wide" aria-labelledby="limits-title" data-testid="limits">
      <header>
        <h3 id="limits-title">Limits and control</h3>
      </header>
      <dl className="limits">
        <Limit sample={sample} lookup={lookup} side="charge" />
        <Limit sample={sample} lookup={lookup} side="discharge" />
        <Request sample={sample} lookup={lookup} />
        <div title={lookup.doc("balancing")}>
          <dt>Balancing</dt>
          <dd>{cells(scalar(sample, "balancing"))}</dd>
        </div>
        <div title={lookup.doc("pump")}>
          <dt>Cooling</dt>
          <dd>{withUnit(share(scalar(sample, "pump")), "%")}</dd>
        </div>
      </dl>
    </section>
  );
}

const share = (value: number | null): string => fixed(value === null ? null : 100 * value, 0);

const cells = (count: number | null): string =>
  count === null ? UNKNOWN : count === 0 ? "none" : count === 1 ? "1 cell" : `${count} cells`;

/** A current limit and the name of the limiter in force. */
function Limit({ sample, lookup, side }: Props & { readonly side: "charge" | "discharge" }): ReactElement {
  const limit = scalar(sample, `${side}_limit_a`);
  const id = scalar(sample, `${side}_limiter`);
  const row = lookup.limiter(id);
  const name = row ? words(row.name) : id === null ? "" : `Limiter ${id}`;
  return (
    <div title={row?.doc ?? lookup.doc(`${side}_limiter`)} data-testid={`${side}-limit`}>
      <dt>{words(side)} limit</dt>
      <dd>
        {withUnit(fixed(limit, 1), lookup.unit(`${side}_limit_a`))}
        <small className={id === 0 ? "free" : "held"}>{id === 0 ? "Not derated" : name}</small>
      </dd>
    </div>
  );
}

/** What the pack asks a charger for. */
function Request({ sample, lookup }: Props): ReactElement {
  const volts = scalar(sample, "charge_request_voltage_v");
  const phase = scalar(sample, "charge_phase");
  const name = phase === null ? undefined : lookup.tables.charge_phases[phase];
  const request = [
    withUnit(fixed(volts, 2), lookup.unit("charge_request_voltage_v")),
    withUnit(fixed(scalar(sample, "charge_request_current_a"), 2), lookup.unit("charge_request_current_a")),
  ];
  return (
    <div title={lookup.doc("charge_request_voltage_v")} data-testid="charge-request">
      <dt>Charge request</dt>
      <dd>
        {volts === null ? UNKNOWN : volts === 0 ? "none" : request.join(", ")}
        <small>{name === undefined ? "" : words(name)}</small>
      </dd>
    </div>
  );
}
