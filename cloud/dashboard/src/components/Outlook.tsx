import type { ReactElement } from "react";

import type { Sample } from "../api/contract";
import { fixed, UNKNOWN, withUnit } from "../lib/format";
import { scalar, type Lookup } from "../lib/tables";

interface Props {
  readonly sample: Sample | null;
  readonly lookup: Lookup;
}

interface Row {
  readonly title: string;
  readonly signal: string;
  readonly decimals: number;
  /** Signal of its standard deviation. */
  readonly sigma?: string;
  /** Signal of what it will be, and in words when. */
  readonly ahead?: readonly [signal: string, when: string];
  readonly asPercent?: boolean;
}

const ROWS: readonly Row[] = [
  { title: "Emptiest cell, at least", signal: "soc_lowest", decimals: 1, asPercent: true },
  { title: "Fullest cell, at most", signal: "soc_highest", decimals: 1, asPercent: true },
  { title: "Energy left", signal: "energy_wh", decimals: 1, sigma: "energy_sigma_wh" },
  { title: "Power in, 10 s", signal: "charge_power_w", decimals: 0 },
  { title: "Power out, 10 s", signal: "discharge_power_w", decimals: 0 },
  {
    title: "Core temperature",
    signal: "core_temperature_c",
    decimals: 1,
    ahead: ["core_temperature_ahead_c", "within 60 s"],
  },
  { title: "Health", signal: "soh", decimals: 1, sigma: "soh_sigma", asPercent: true },
  {
    title: "Resistance",
    signal: "resistance_ratio",
    decimals: 0,
    sigma: "resistance_ratio_sigma",
    asPercent: true,
  },
];

/** What a board that has its cell's tables estimates besides the state of charge; nothing for one that has none. */
export function Outlook({ sample, lookup }: Props): ReactElement | null {
  if (ROWS.every((row) => scalar(sample, row.signal) === null)) return null;
  return (
    <section className="panel wide" aria-labelledby="outlook-title" data-testid="outlook">
      <header>
        <h3 id="outlook-title">Cells, energy, power and health</h3>
      </header>
      <dl className="limits">
        {ROWS.map((row) => (
          <div key={row.signal} title={lookup.doc(row.signal)} data-testid={row.signal}>
            <dt>{row.title}</dt>
            <dd>
              {shown(row, scalar(sample, row.signal), lookup)}
              <small>{aside(row, sample, lookup)}</small>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function shown(row: Row, value: number | null, lookup: Lookup): string {
  if (value === null) return UNKNOWN;
  return row.asPercent
    ? withUnit(fixed(100 * value, row.decimals), "%")
    : withUnit(fixed(value, row.decimals), lookup.unit(row.signal));
}

/** Two standard deviations, or what is to come. */
function aside(row: Row, sample: Sample | null, lookup: Lookup): string {
  const sigma = row.sigma === undefined ? null : scalar(sample, row.sigma);
  if (sigma !== null) return `± ${shown(row, 2 * sigma, lookup)} (2σ)`;
  const ahead = row.ahead === undefined ? null : scalar(sample, row.ahead[0]);
  return row.ahead === undefined || ahead === null ? "" : `${shown(row, ahead, lookup)} ${row.ahead[1]}`;
}
