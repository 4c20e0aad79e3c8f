import { useEffect, type ReactElement } from "react";

import { useHistory, useLive } from "../hooks/useLive";
import { useSlice } from "../state/app";
import { FaultFeed } from "./FaultFeed";
import { Header } from "./Header";
import { PackDetail } from "./PackDetail";
import { PackList } from "./PackList";

/** The whole page behind the sign-in: packs, the chosen one, faults. */
export function Dashboard({ token, onSignOut }: { token: string; onSignOut: () => void }): ReactElement {
  useLive(token);
  useHistory(token);
  const selected = useSlice((state) => state.selected);
  const none = useSlice((state) => state.ready && state.packs.size === 0);
  const ready = useSlice((state) => state.ready && state.lookup !== null);

  useEffect(() => {
    if (selected) history.replaceState(null, "", `#pack=${encodeURIComponent(selected)}`);
  }, [selected]);

  return (
    <>
      <Header onSignOut={onSignOut} />
      {none ? (
        <main className="empty" data-testid="empty">
          <h2>No packs yet</h2>
          <p>A pack appears here by itself once its board has reached the broker and sent its birth message.</p>
        </main>
      ) : (
        <main className="layout" aria-busy={!ready}>
          {ready ? (
            <>
              <PackList />
              <PackDetail />
              <FaultFeed />
            </>
          ) : (
            <p className="loading">Waiting for the first data…</p>
          )}
        </main>
      )}
    </>
  );
}
