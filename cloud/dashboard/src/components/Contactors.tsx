import type { ReactElement } from "react";

import { words } from "../lib/format";

interface Props {
  /** Gate command bits, null when unknown. */
  readonly gates: number | null;
  readonly state: string;
  /** Name of a gate -> its bit. */
  readonly bits: Readonly<Record<string, number>>;
}

/** The contactors of the string, each drawn and named as commanded. */
export function Contactors({ gates, state, bits }: Props): ReactElement {
  return (
    <section className="panel" aria-labelledby="contactors-title" data-testid="contactors">
      <header>
        <h3 id="contactors-title">Contactors</h3>
        <p>{state}</p>
      </header>
      <ul className="contactors">
        {Object.entries(bits).map(([name, bit]) => {
          const closed = gates === null ? null : (gates & bit) !== 0;
          const text = closed === null ? "unknown" : closed ? "closed" : "open";
          return (
            <li key={name} className={text}>
              <svg viewBox="0 0 64 24" aria-hidden="true">
                <path d="M2 16H20M44 16H62" />
                <path className="arm" d={closed ? "M20 16H44" : "M20 16L41 5"} />
                <circle cx="20" cy="16" r="3" />
                <circle cx="44" cy="16" r="3" />
              </svg>
              <span>{words(name)}</span>
              <b>{text}</b>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
