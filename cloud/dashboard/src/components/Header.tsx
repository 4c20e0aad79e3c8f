import type { ReactElement } from "react";

import { useSlice } from "../state/app";
import { ConnectionState } from "./ConnectionState";

interface CountProps {
  readonly name: string;
  readonly label: string;
  readonly value: number;
  readonly alarm?: boolean;
}

function Count({ name, label, value, alarm = false }: CountProps): ReactElement {
  return (
    <div className={alarm ? "count alarm" : "count"} data-testid={`count-${name}`}>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** Name, fleet counts and the state of the connection. */
export function Header({ onSignOut }: { onSignOut: () => void }): ReactElement {
  const packs = useSlice((state) => state.packs);
  let online = 0;
  let faults = 0;
  for (const pack of packs.values()) {
    if (pack.online) online++;
    faults += pack.faults.length;
  }
  return (
    <header className="top">
      <h1>
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect x="11" y="2" width="10" height="5" rx="1.5" />
          <rect x="6" y="5" width="20" height="25" rx="5" />
          <rect className="charge" x="10" y="15" width="12" height="11" rx="2" />
        </svg>
        Cellkeeper
      </h1>
      <dl className="counts" aria-label="Fleet">
        <Count name="packs" label={packs.size === 1 ? "pack" : "packs"} value={packs.size} />
        <Count name="online" label="online" value={online} />
        <Count name="faults" label={faults === 1 ? "fault" : "faults"} value={faults} alarm={faults > 0} />
      </dl>
      <ConnectionState />
      <button type="button" className="quiet" onClick={onSignOut}>
        Sign out
      </button>
    </header>
  );
}
