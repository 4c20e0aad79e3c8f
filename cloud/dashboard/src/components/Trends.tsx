import type { ReactElement } from "react";

import { useFrame } from "../hooks/useFrame";
import { fixed, signed, withUnit } from "../lib/format";
import { extent } from "../lib/scale";
import type { Lookup } from "../lib/tables";
import { useSlice } from "../state/app";
import { LineChart, type Line } from "./LineChart";

interface Trend {
  readonly title: string;
  readonly signals: readonly (readonly [signal: string, label: string, tone: string])[];
  /** Least span of the vertical axis: noise must not fill the chart. */
  readonly least: number;
  readonly decimals: number;
  readonly zero?: boolean;
}

const TRENDS: readonly Trend[] = [
  { title: "Current", signals: [["current_a", "Current", "current"]], least: 0.5, decimals: 2, zero: true },
  { title: "Pack voltage", signals: [["pack_voltage_v", "Pack voltage", "voltage"]], least: 0.4, decimals: 2 },
  {
    title: "Temperature",
    signals: [
      ["temperature_max_c", "Hottest", "hot"],
      ["temperature_min_c", "Coldest", "cold"],
    ],
    least: 4,
    decimals: 1,
  },
];

/** Current, pack voltage and temperature over the same span as the state of charge. */
export function Trends({ lookup }: { lookup: Lookup }): ReactElement {
  const series = useSlice((state) => state.series);
  const [fromMs, toMs] = useFrame();
  return (
    <div className="trends">
      {TRENDS.map(({ title, signals, least, decimals, zero = false }) => {
        const unit = lookup.unit(signals[0]?.[0] ?? "");
        const number = zero ? signed : fixed;
        const lines: Line[] = signals.map(([signal, label, tone]) => ({
          label,
          tone,
          time: series.time,
          values: series.columns[signal] ?? [],
        }));
        const seen = extent(lines.flatMap((line) => line.values), least) ?? [0, least];
        const margin = (seen[1] - seen[0]) * 0.08;
        return (
          <LineChart
            key={title}
            title={title}
            lines={lines}
            fromMs={fromMs}
            toMs={toMs}
            domain={[seen[0] - margin, seen[1] + margin]}
            height={120}
            rules={zero ? [0] : []}
            show={(value) => withUnit(number(value, decimals), unit)}
            tick={(value) => number(value, Number.isInteger(value) ? 0 : 1)}
          />
        );
      })}
    </div>
  );
}
