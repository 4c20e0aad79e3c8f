import { useMemo, type ReactElement } from "react";

import { useFrame } from "../hooks/useFrame";
import { percent } from "../lib/format";
import { extent } from "../lib/scale";
import { useSlice } from "../state/app";
import { LineChart, type Band, type Line } from "./LineChart";

const show = (value: number | null | undefined): string =>
  value === null || value === undefined ? "–" : `${percent(value)}\u00a0%`;
const tick = (value: number): string => `${Math.round(value * 100)}\u00a0%`;

/** Estimated state of charge with its band of two standard deviations, against the reference. */
export function SocChart(): ReactElement {
  const series = useSlice((state) => state.series);
  const history = useSlice((state) => state.history);
  const [fromMs, toMs] = useFrame();
  const { lines, band, domain } = useMemo(() => {
    const soc = series.columns["soc"] ?? [];
    const sigma = series.columns["soc_sigma"] ?? [];
    const edge = (side: 1 | -1): (number | null)[] =>
      soc.map((value, i) => {
        const spread = sigma[i];
        return value === null || typeof spread !== "number" ? null : Math.min(1, Math.max(0, value + side * 2 * spread));
      });
    const made: Band = { time: series.time, low: edge(-1), high: edge(1) };
    const drawn: Line[] = [{ label: "Estimate", tone: "estimate", time: series.time, values: soc }];
    if (series.reference.length > 0) {
      drawn.push({ label: "Reference", tone: "reference", time: series.referenceTime, values: series.reference });
    }
    const seen = extent([...soc, ...series.reference, ...made.low, ...made.high], 0.1) ?? [0, 1];
    const rounded: [number, number] = [
      Math.max(0, Math.floor(seen[0] * 20 - 0.2) / 20),
      Math.min(1, Math.ceil(seen[1] * 20 + 0.2) / 20),
    ];
    return { lines: drawn, band: made, domain: rounded };
  }, [series]);

  return (
    <>
      <LineChart
        title="State of charge in percent over time"
        testId="soc-chart"
        lines={lines}
        band={band}
        fromMs={fromMs}
        toMs={toMs}
        domain={domain}
        height={220}
        show={show}
        tick={tick}
      />
      {history === "failed" && <p className="none">The past could not be fetched; what comes in now is drawn.</p>}
    </>
  );
}
