import type { ReactElement } from "react";

/** Contactor state in its word; what an offline pack said last is not its state now. */
export function Badge({ state, online }: { state: string; online: boolean }): ReactElement {
  const shown = online ? state : "offline";
  return (
    <span className={`badge ${shown.replaceAll(" ", "-")}`} data-testid="pack-state">
      {shown}
    </span>
  );
}
