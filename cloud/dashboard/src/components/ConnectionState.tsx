import type { ReactElement } from "react";

import { useNow } from "../hooks/useNow";
import { describe } from "../lib/connection";
import { useSlice } from "../state/app";

/** Live, reconnecting or stale: a dot for the glance and words for everyone. */
export function ConnectionState(): ReactElement {
  const connection = useSlice((state) => state.connection);
  const { tone, text, detail } = describe(connection, useNow());
  return (
    <div className={`connection ${tone}`} data-testid="connection-state" data-state={tone} title={detail}>
      <span className="dot" aria-hidden="true" />
      <span role="status">{text}</span>
      {detail && <span className="detail">{detail}</span>}
    </div>
  );
}
