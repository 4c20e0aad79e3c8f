import { useState, type PointerEvent, type ReactElement } from "react";

import { useWidth } from "../hooks/useWidth";
import { clock } from "../lib/format";
import { linear, linePath, nearest, ticks, timeTicks } from "../lib/scale";

export interface Line {
  readonly label: string;
  /** Class of the line and of its key in the legend. */
  readonly tone: string;
  readonly time: readonly number[];
  readonly values: readonly (number | null)[];
}

export interface Band {
  readonly time: readonly number[];
  readonly low: readonly (number | null)[];
  readonly high: readonly (number | null)[];
}

interface Props {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly band?: Band;
  readonly fromMs: number;
  readonly toMs: number;
  readonly domain: readonly [number, number];
  readonly height: number;
  readonly show: (value: number | null | undefined) => string;
  readonly tick: (value: number) => string;
  /** Horizontal lines across the chart, such as zero. */
  readonly rules?: readonly number[];
  readonly testId?: string;
}

const RIGHT = 8;
const TOP = 8;
const BOTTOM = 20;
const LEFT = 40;
/** A pause in the data this long is drawn as one: the line does not bridge it. */
const LEAST_GAP_MS = 10_000;

/** Lines over time with axes, an uncertainty band, and the values under the pointer in the legend. */
export function LineChart(props: Props): ReactElement {
  const { title, lines, band, fromMs, toMs, domain, height, show, tick, rules = [], testId } = props;
  const [ref, width] = useWidth<HTMLDivElement>();
  const [pointer, setPointer] = useState<number | null>(null);
  const x = linear(fromMs, toMs, LEFT, width - RIGHT);
  const y = linear(domain[0], domain[1], height - BOTTOM, TOP);
  const gap = Math.max(LEAST_GAP_MS, (toMs - fromMs) / 60);
  const at = pointer === null ? null : fromMs + ((pointer - LEFT) / (width - RIGHT - LEFT)) * (toMs - fromMs);
  const inside = at !== null && at >= fromMs && at <= toMs;
  const value = (line: Line): number | null | undefined =>
    line.values[inside ? nearest(line.time, at) : line.values.length - 1];
  const move = (event: PointerEvent<SVGSVGElement>): void =>
    setPointer(event.clientX - event.currentTarget.getBoundingClientRect().left);
  const summary = lines.map((line) => `${line.label} ${show(line.values.at(-1))}`).join(", ");

  return (
    <div className="chart" ref={ref} data-testid={testId}>
      <ul className="legend">
        {lines.map((line) => (
          <li key={line.label} className={line.tone}>
            {line.label} <b>{show(value(line))}</b>
          </li>
        ))}
        <li className="moment">{inside ? clock(at) : ""}</li>
      </ul>
      <svg
        width={width}
        height={height}
        role="img"
        aria-label={`${title}; latest: ${summary}`}
        onPointerMove={move}
        onPointerDown={move}
        onPointerLeave={() => setPointer(null)}
      >
        <clipPath id={`clip-${title.replaceAll(/\W/g, "")}`}>
          <rect x={LEFT} y={0} width={Math.max(0, width - RIGHT - LEFT)} height={height} />
        </clipPath>
        <g className="axis">
          {ticks(domain[0], domain[1], Math.max(4, Math.floor(height / 45))).map((level) => (
            <g key={level}>
              <line x1={LEFT} x2={width - RIGHT} y1={y(level)} y2={y(level)} />
              <text x={LEFT - 6} y={y(level)} dy="0.32em" textAnchor="end">
                {tick(level)}
              </text>
            </g>
          ))}
          {timeTicks(fromMs, toMs, Math.max(3, Math.floor(width / 110))).map((moment) => (
            <text key={moment} x={x(moment)} y={height - 4} textAnchor="middle">
              {clock(moment, toMs - fromMs < 300_000)}
            </text>
          ))}
        </g>
        <g clipPath={`url(#clip-${title.replaceAll(/\W/g, "")})`}>
          {band && <path className="band" d={bandPath(band, x, y, gap)} />}
          {rules.map((level) => (
            <line key={level} className="rule" x1={LEFT} x2={width - RIGHT} y1={y(level)} y2={y(level)} />
          ))}
          {lines.map((line) => (
            <path key={line.label} className={`line ${line.tone}`} d={linePath(line.time, line.values, x, y, gap)} />
          ))}
          {inside && <line className="cursor" x1={x(at)} x2={x(at)} y1={TOP} y2={height - BOTTOM} />}
        </g>
      </svg>
    </div>
  );
}

/** One closed shape per stretch without a gap: along the upper edge and back along the lower one. */
function bandPath(band: Band, x: (t: number) => number, y: (v: number) => number, gapMs: number): string {
  let path = "";
  let stretch: [number, number, number][] = [];
  const close = (): void => {
    if (stretch.length > 1) {
      const upper = stretch.map(([t, , high]) => `${x(t).toFixed(1)},${y(high).toFixed(1)}`);
      const lower = stretch.map(([t, low]) => `${x(t).toFixed(1)},${y(low).toFixed(1)}`).reverse();
      path += `M${upper.join("L")}L${lower.join("L")}Z`;
    }
    stretch = [];
  };
  band.time.forEach((t, i) => {
    const low = band.low[i];
    const high = band.high[i];
    const last = stretch.at(-1);
    const known = typeof low === "number" && typeof high === "number";
    if (!known || (last && t - last[0] > gapMs)) close();
    if (known) stretch.push([t, low, high]);
  });
  close();
  return path;
}
