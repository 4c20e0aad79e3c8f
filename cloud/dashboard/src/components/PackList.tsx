import { useEffect, useMemo, useRef, useState, type ReactElement } from "react";

import type { Pack } from "../api/contract";
import { useNow } from "../hooks/useNow";
import { store, useSlice } from "../state/app";
import { byPlace } from "../state/order";
import { PackCard } from "./PackCard";

/** From this many packs on, a field to find one is worth its place. */
const MANY = 8;

const matches = (pack: Pack, text: string): boolean =>
  `${pack.pack_id} ${pack.site} ${pack.machine ?? ""} ${pack.chemistry ?? ""}`.toLowerCase().includes(text);

const select = (pack: string): void => store.dispatch({ type: "select", pack });

/** Every pack as a card; the order is by site and name and stays, whatever happens to the packs. */
export function PackList(): ReactElement {
  const packs = useSlice((state) => state.packs);
  const selected = useSlice((state) => state.selected);
  const lookup = useSlice((state) => state.lookup);
  const offset = useSlice((state) => state.clockOffsetMs);
  const now = useNow() + offset;
  const [text, setText] = useState("");
  const [faulty, setFaulty] = useState(false);
  const cards = useRef<HTMLUListElement>(null);
  useEffect(() => {
    const card = cards.current?.querySelector("[aria-pressed=true]");
    card?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [selected]);
  const shown = useMemo(
    () =>
      [...packs.values()]
        .filter((pack) => matches(pack, text.trim().toLowerCase()))
        .filter((pack) => !faulty || pack.faults.length > 0)
        .sort(byPlace),
    [packs, text, faulty],
  );
  return (
    <section className="packs" aria-labelledby="packs-title">
      <h2 id="packs-title" className="hidden">
        Packs
      </h2>
      {packs.size > MANY && (
        <div className="find">
          <input
            type="search"
            aria-label="Find a pack"
            placeholder="Find a pack"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <label>
            <input type="checkbox" checked={faulty} onChange={(event) => setFaulty(event.target.checked)} />
            with faults
          </label>
        </div>
      )}
      <ul ref={cards}>
        {lookup &&
          shown.map((pack) => (
            <li key={pack.pack_id}>
              <PackCard
                pack={pack}
                lookup={lookup}
                selected={pack.pack_id === selected}
                // whole seconds: a card whose age reads the same is not drawn again
                ageMs={pack.latest && Math.max(0, Math.round((now - pack.latest.time_utc_ms) / 1000) * 1000)}
                onSelect={select}
              />
            </li>
          ))}
      </ul>
      {shown.length === 0 && <p className="none">No pack matches.</p>}
    </section>
  );
}
