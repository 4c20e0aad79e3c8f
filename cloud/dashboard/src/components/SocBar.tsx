import type { ReactElement } from "react";

import { percent } from "../lib/format";

const clamp = (value: number): number => Math.min(1, Math.max(0, value));
const share = (value: number): string => `${(clamp(value) * 100).toFixed(2)}%`;

/** State of charge as a bar; the hatched part spans two standard deviations to either side. */
export function SocBar({ soc, sigma }: { soc: number | null; sigma: number | null }): ReactElement {
  if (soc === null) return <span className="soc-bar" role="img" aria-label="state of charge unknown" />;
  const spread = 2 * (sigma ?? 0);
  const low = clamp(soc - spread);
  const text = `state of charge ${percent(soc)} %${sigma === null ? "" : ` ± ${percent(spread)} % (2σ)`}`;
  return (
    <span className="soc-bar" role="img" aria-label={text} title={text}>
      <span className="fill" style={{ width: share(soc) }} />
      {sigma !== null && (
        <span className="sigma" style={{ left: share(low), width: share(clamp(soc + spread) - low) }} />
      )}
      <span className="mark" style={{ left: share(soc) }} />
    </span>
  );
}
