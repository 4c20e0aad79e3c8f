import type { ReactElement } from "react";

import type { Sample } from "../api/contract";
import { useWidth } from "../hooks/useWidth";
import { fixed, withUnit } from "../lib/format";
import { linear, ticks } from "../lib/scale";
import { list, type Lookup } from "../lib/tables";

const HEIGHT = 240;
const LEFT = 36;
const RIGHT = 8;
const TOP = 22;
const BOTTOM = 24;
/** Room beyond the limits, so that a cell that passed one is seen to have passed it. */
const BEYOND_V = 0.12;
/** Narrower than this, a bar's value has no room above it. */
const ROOM_FOR_VALUE = 36;

interface Limit {
  readonly name: string;
  readonly value: number | null;
}

interface Props {
  /** Newest sample of the cells stream. */
  readonly sample: Sample | null;
  readonly chemistry: string | null;
  readonly lookup: Lookup;
}

/** Every cell's voltage as a bar between the limits of its chemistry; lowest and highest marked. */
export function CellBars({ sample, chemistry, lookup }: Props): ReactElement {
  const [ref, width] = useWidth<HTMLDivElement>();
  const cells = list(sample, "cell_voltage_v");
  const unit = lookup.unit("cell_voltage_v");
  const over = lookup.limit("cell_ov_mv", chemistry);
  const under = lookup.limit("cell_uv_mv", chemistry);
  const least = Math.min(...cells);
  const most = Math.max(...cells);
  const low = Math.min(under ?? least, least) - BEYOND_V;
  const high = Math.max(over ?? most, most) + BEYOND_V;
  const y = linear(low, high, HEIGHT - BOTTOM, TOP);
  const slot = (width - LEFT - RIGHT) / Math.max(1, cells.length);
  const bar = Math.min(44, slot * 0.72);
  const limits: readonly Limit[] = [
    { name: "over-voltage limit", value: over },
    { name: "under-voltage limit", value: under },
  ];
  const rank = (volts: number): "lowest" | "highest" | "" =>
    least === most ? "" : volts === least ? "lowest" : volts === most ? "highest" : "";

  return (
    <section className="panel wide" aria-labelledby="cells-title">
      <header>
        <h3 id="cells-title" title={lookup.doc("cell_voltage_v")}>
          Cell voltages
        </h3>
        {cells.length > 0 && (
          <p className="spread">
            <span className="lowest">▼ {withUnit(fixed(least, 3), unit)}</span>
            <span className="highest">▲ {withUnit(fixed(most, 3), unit)}</span>
            <span>spread {withUnit(fixed((most - least) * 1000, 0), `m${unit}`)}</span>
          </p>
        )}
      </header>
      <div ref={ref}>
        {cells.length === 0 ? (
          <p className="none">No cell voltages yet.</p>
        ) : (
          <svg className="cells" width={width} height={HEIGHT} role="list" aria-label="Cell voltages">
            {ticks(low, high, 4).map((tick) => (
              <g key={tick} className="axis" aria-hidden="true">
                <line x1={LEFT} x2={width - RIGHT} y1={y(tick)} y2={y(tick)} />
                <text x={LEFT - 6} y={y(tick)} dy="0.32em" textAnchor="end">
                  {fixed(tick, 1)}
                </text>
              </g>
            ))}
            {cells.map((volts, index) => {
              const x = LEFT + slot * (index + 0.5);
              const mark = rank(volts);
              const bad = (over !== null && volts > over) || (under !== null && volts < under);
              const text = `cell ${index + 1}: ${fixed(volts, 3)} ${unit}`;
              return (
                <g
                  key={index}
                  role="listitem"
                  aria-label={[text, mark, bad && "beyond its limit"].filter(Boolean).join(", ")}
                  className={["cell", mark, bad && "bad"].filter(Boolean).join(" ")}
                  data-testid="cell-bar"
                  data-value={volts}
                >
                  <title>{text}</title>
                  <rect x={x - bar / 2} width={bar} y={y(volts)} height={y(low) - y(volts)} rx="3" />
                  {mark && (
                    <text className="mark" x={x} y={y(volts) - (slot >= ROOM_FOR_VALUE ? 17 : 5)}>
                      {mark === "lowest" ? "▼" : "▲"}
                    </text>
                  )}
                  {slot >= ROOM_FOR_VALUE && (
                    <text className="value" x={x} y={y(volts) - 5}>
                      {fixed(volts, 3)}
                    </text>
                  )}
                  {(slot >= 16 || (index + 1) % 5 === 0) && (
                    <text className="number" x={x} y={HEIGHT - 8}>
                      {index + 1}
                    </text>
                  )}
                </g>
              );
            })}
            {limits.map(
              ({ name, value }) =>
                value !== null && (
                  <g key={name} className="limit">
                    <line x1={LEFT} x2={width - RIGHT} y1={y(value)} y2={y(value)} />
                    <text x={width - RIGHT} y={y(value) - 5} textAnchor="end">
                      {name} {fixed(value, 2)} {unit}
                    </text>
                  </g>
                ),
            )}
          </svg>
        )}
      </div>
    </section>
  );
}
