import { memo, type ReactElement } from "react";

import type { Pack } from "../api/contract";
import { age, fixed, percent, shortMachine, signed, withUnit, words } from "../lib/format";
import { scalar, type Lookup } from "../lib/tables";
import { Badge } from "./Badge";
import { SocBar } from "./SocBar";

interface Props {
  readonly pack: Pack;
  readonly lookup: Lookup;
  readonly selected: boolean;
  readonly ageMs: number | null;
  readonly onSelect: (id: string) => void;
}

/** Data older than this is marked as old. */
const OLD_MS = 10_000;

/** One pack at a glance; a button that chooses it. */
export const PackCard = memo(function PackCard({ pack, lookup, selected, ageMs, onSelect }: Props): ReactElement {
  const { latest, faults } = pack;
  const soc = scalar(latest, "soc");
  const sigma = scalar(latest, "soc_sigma");
  const old = ageMs !== null && ageMs > OLD_MS;
  const classes = ["card", selected && "selected", faults.length > 0 && "faulty", !pack.online && "offline"];
  const reading = (signal: string, show: (value: number | null) => string): ReactElement => (
    <span title={lookup.doc(signal)}>{withUnit(show(scalar(latest, signal)), lookup.unit(signal))}</span>
  );
  return (
    <button
      type="button"
      className={classes.filter(Boolean).join(" ")}
      data-testid="pack-card"
      data-pack={pack.pack_id}
      aria-pressed={selected}
      onClick={() => onSelect(pack.pack_id)}
    >
      <span className="row">
        <strong>{pack.pack_id}</strong>
        <Badge state={lookup.state(latest)} online={pack.online} />
      </span>
      <span className="where" title={pack.machine ?? undefined}>
        {pack.site} · {shortMachine(pack.machine)}
      </span>
      <span className="row soc">
        <span className="value">
          {percent(soc)}
          <small>{soc === null ? "" : "%"}</small>
        </span>
        <SocBar soc={soc} sigma={sigma} />
      </span>
      <span className="row readings">
        {reading("pack_voltage_v", (value) => fixed(value, 2))}
        {reading("current_a", (value) => signed(value, 2))}
        {reading("temperature_max_c", (value) => fixed(value, 1))}
        <span className={old ? "age old" : "age"}>{ageMs === null ? "no data" : age(ageMs)}</span>
      </span>
      {faults.length > 0 && (
        <span className="faults">
          {faults.map(({ id, name, severity }) => (
            <span key={id} className={`tag ${severity}`}>
              {words(name)}
            </span>
          ))}
        </span>
      )}
    </button>
  );
});
