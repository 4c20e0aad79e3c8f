import type { Pack } from "../api/contract";

/** The one order of packs: by site, then by name with its numbers as numbers. It does not change with their state. */
export const byPlace = (a: Pack, b: Pack): number =>
  a.site.localeCompare(b.site) || a.pack_id.localeCompare(b.pack_id, undefined, { numeric: true });
