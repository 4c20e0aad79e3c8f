import type { ReactElement } from "react";

import type { Pack } from "../api/contract";
import { fixed, percent, signed, words } from "../lib/format";
import { scalar, type Lookup } from "../lib/tables";

/** Signals shown as figures, and how many decimals each carries. */
const SHOWN: readonly (readonly [signal: string, decimals: number])[] = [
  ["pack_voltage_v", 2],
  ["current_a", 2],
  ["link_voltage_v", 2],
  ["isolation_kohm", 0],
];

/** "pack_voltage_v" -> "Pack voltage": the last word of a signal's name is its unit. */
const label = (signal: string): string => words(signal.replace(/_[a-z]+$/, ""));

/** The chosen pack's figures: SoC with its uncertainty first, then voltages, current, isolation. */
export function Figures({ pack, lookup }: { pack: Pack; lookup: Lookup }): ReactElement {
  const soc = scalar(pack.latest, "soc");
  const sigma = scalar(pack.latest, "soc_sigma");
  const current = scalar(pack.latest, "current_a");
  const flow = current === null || Math.abs(current) < 0.005 ? "" : current > 0 ? "charging" : "discharging";
  return (
    <dl className="figures">
      <div className="first" title={lookup.doc("soc")}>
        <dt>State of charge</dt>
        <dd data-testid="soc-value">
          {percent(soc)} <small>{soc === null ? "" : "%"}</small>
          {soc !== null && sigma !== null && <small className="sigma"> ± {percent(2 * sigma)} (2σ)</small>}
        </dd>
      </div>
      {SHOWN.map(([signal, decimals]) => {
        const value = scalar(pack.latest, signal);
        return (
          <div key={signal} title={lookup.doc(signal)}>
            <dt>{label(signal)}</dt>
            <dd>
              {signal === "current_a" ? signed(value, decimals) : fixed(value, decimals)}{" "}
              <small>{value === null ? "" : lookup.unit(signal)}</small>
              {signal === "current_a" && flow && <small className="flow"> {flow}</small>}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
