import type { ReactElement } from "react";

import { store, useSlice } from "../state/app";
import { HOURS } from "../state/reducer";

const label = (hours: number): string => (hours < 1 ? `${hours * 60} min` : `${hours} h`);

/** How much of the past the charts show. */
export function SpanChoice(): ReactElement {
  const chosen = useSlice((state) => state.hours);
  return (
    <fieldset className="span">
      <legend className="hidden">Time shown</legend>
      {HOURS.map((hours) => (
        <label key={hours}>
          <input
            type="radio"
            name="span"
            checked={hours === chosen}
            onChange={() => store.dispatch({ type: "hours", hours })}
          />
          <span>{label(hours)}</span>
        </label>
      ))}
    </fieldset>
  );
}
