import type { ReactElement } from "react";

import type { Sample } from "../api/contract";
import { fixed, withUnit } from "../lib/format";
import { linear } from "../lib/scale";
import { list, type Lookup } from "../lib/tables";

interface Props {
  /** Newest sample of the cells stream. */
  readonly sample: Sample | null;
  readonly chemistry: string | null;
  readonly lookup: Lookup;
}

/** Every temperature sensor on a scale between its two limits. */
export function Temperatures({ sample, chemistry, lookup }: Props): ReactElement {
  const sensors = list(sample, "temperature_c");
  const unit = lookup.unit("temperature_c");
  const under = lookup.limit("under_temp_dc", chemistry) ?? -30;
  const over = lookup.limit("over_temp_dc", chemistry) ?? 60;
  const share = linear(under, over, 0, 100);
  return (
    <section className="panel" aria-labelledby="temperatures-title">
      <header>
        <h3 id="temperatures-title" title={lookup.doc("temperature_c")}>
          Temperatures
        </h3>
        <p>
          {fixed(under, 0)} to {withUnit(fixed(over, 0), unit)}
        </p>
      </header>
      {sensors.length === 0 && <p className="none">No temperatures yet.</p>}
      <ol className="temperatures">
        {sensors.map((value, index) => {
          const bad = value > over || value < under;
          return (
            <li key={index} className={bad ? "bad" : ""} data-testid="temperature">
              <span>Sensor {index + 1}</span>
              <span className="track" aria-hidden="true">
                <span style={{ left: `${Math.min(100, Math.max(0, share(value))).toFixed(1)}%` }} />
              </span>
              <b>
                {withUnit(fixed(value, 1), unit)}
                {bad && <span className="hidden"> beyond its limit</span>}
              </b>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
