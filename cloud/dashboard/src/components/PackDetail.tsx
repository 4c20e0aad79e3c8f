import type { ReactElement } from "react";

import { words } from "../lib/format";
import { scalar } from "../lib/tables";
import { useSlice } from "../state/app";
import { Badge } from "./Badge";
import { CellBars } from "./CellBars";
import { Contactors } from "./Contactors";
import { Figures } from "./Figures";
import { Limits } from "./Limits";
import { Outlook } from "./Outlook";
import { SpanChoice } from "./SpanChoice";
import { SocChart } from "./SocChart";
import { Temperatures } from "./Temperatures";
import { Trends } from "./Trends";

/** The chosen pack, large. */
export function PackDetail(): ReactElement {
  const pack = useSlice((state) => (state.selected === null ? undefined : state.packs.get(state.selected)));
  const cells = useSlice((state) => (state.selected === null ? undefined : state.cells.get(state.selected))) ?? null;
  const lookup = useSlice((state) => state.lookup);
  if (!pack || !lookup) return <section className="detail" />;
  const facts = [pack.site, pack.chemistry?.toUpperCase(), pack.machine, pack.firmware && `firmware ${pack.firmware}`];
  return (
    <section className="detail" aria-labelledby="detail-title" data-testid="pack-detail" data-pack={pack.pack_id}>
      <header>
        <div>
          <h2 id="detail-title">{pack.pack_id}</h2>
          <p>{facts.filter(Boolean).join(" · ")}</p>
        </div>
        <Badge state={lookup.state(pack.latest)} online={pack.online} />
      </header>
      <Figures pack={pack} lookup={lookup} />
      <Limits sample={pack.latest} lookup={lookup} />
      <Outlook sample={pack.latest} lookup={lookup} />
      <CellBars sample={cells} chemistry={pack.chemistry} lookup={lookup} />
      <section className="panel wide past" aria-labelledby="past-title">
        <header>
          <h3 id="past-title">State of charge</h3>
          <SpanChoice />
        </header>
        <SocChart />
        <Trends lookup={lookup} />
      </section>
      <Contactors
        gates={pack.online ? scalar(pack.latest, "gates") : null}
        state={pack.online ? words(lookup.state(pack.latest)) : "Unknown, offline"}
        bits={lookup.tables.gates}
      />
      <Temperatures sample={cells} chemistry={pack.chemistry} lookup={lookup} />
    </section>
  );
}
