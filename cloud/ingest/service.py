"""One batch of messages into the store, in one transaction; what to acknowledge and to show comes back.

Runs in the writer thread. The only state kept between batches is a cache of what the store says; it is
dropped whenever a transaction fails.
"""

import json
import logging
import random
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from bms.tables.signals import EVT

from cloud.ingest import clock, store
from cloud.ingest.clock import Clock
from cloud.ingest.decode import Address, Birth, BlackBox, DecodeError, Sample, Samples, State
from cloud.ingest.ranges import Ranges
from cloud.ingest.schemas import Ack, AckKey, Change, Message, Outcome, boot_text

log = logging.getLogger(__name__)
_CLOCK_EVERY_MS = 10_000


@dataclass(eq=False)
class _Boot:
    row: int
    boot_id: int
    clock: Clock
    ranges: dict[str, Ranges] = field(default_factory=lambda: {})
    rows: int = 0
    """Stored since this process knows the boot."""
    set_rows: int = 0
    set_ms: int = 0
    """`rows` and arrival at the last change of the clock."""

    def may_set_clock(self, arrival_ms: int) -> bool:
        """Each change rewrites the boot's times, so it waits for 10 s or a quarter more rows.

        A device whose clock runs fast makes every message an improvement; this way a row is rewritten
        about five times at most.
        """
        return arrival_ms - self.set_ms >= _CLOCK_EVERY_MS or 4 * self.rows >= 5 * self.set_rows


@dataclass(eq=False)
class _Pack:
    row: int
    tenant: str
    name: str
    site: str
    current: str | None = None
    boots: dict[str, _Boot] = field(default_factory=lambda: {})


class Ingest:
    """Commits batches; `ack_gaps` bounds the gaps named in one acknowledgement."""

    def __init__(self, ack_gaps: int) -> None:
        self._ack_gaps = ack_gaps
        self._packs: dict[tuple[str, str], _Pack] = {}
        # of the batch at hand: streams with their pack and whether the acknowledgement is urgent,
        # and packs with whether they are connected and when they were heard of
        self._touched: dict[tuple[_Boot, str], tuple[_Pack, bool]] = {}
        self._seen: dict[_Pack, tuple[bool, int]] = {}

    def forget(self) -> None:
        """Drop the cache, because a transaction failed."""
        self._packs.clear()
        self._touched.clear()
        self._seen.clear()

    def commit(self, db: sqlite3.Connection, batch: list[Message]) -> Outcome:
        """Store a batch. Raises whatever the store raises; then nothing of the batch is stored."""
        outcome = Outcome()
        for message in batch:
            try:
                self._one(db, message, outcome)
            except DecodeError as error:
                self._poison(db, message, str(error), outcome)
        for (boot, stream), (pack, urgent) in self._touched.items():
            store.save_ranges(db, boot.row, stream, boot.ranges[stream])
            key = AckKey(pack.tenant, pack.site, pack.name, boot.boot_id, stream)
            # any turn will do; counting would fall into step with how an edge groups its re-sends
            turn = random.getrandbits(16)
            upto, gaps = boot.ranges[stream].acknowledgement(self._ack_gaps, turn)
            outcome.acks[key] = Ack(upto, tuple(gaps), urgent)
        for pack, (online, seen_ms) in self._seen.items():
            store.set_seen(db, pack.row, online, seen_ms)
        self._touched.clear()
        self._seen.clear()
        return outcome

    def _poison(self, db: sqlite3.Connection, message: Message, reason: str, outcome: Outcome) -> None:
        outcome.poison += 1
        log.warning("set aside a message on %s: %s", message.topic, reason)
        store.add_poison(db, message.topic, message.payload, reason, message.arrival_ms)

    def _one(self, db: sqlite3.Connection, message: Message, outcome: Outcome) -> None:
        address, body = message.address, message.body
        if address is None or body is None:
            raise DecodeError(message.reason)
        pack = self._pack(db, address, body, message.arrival_ms)
        if isinstance(body, Birth):
            self._birth(db, pack, body, message, outcome)
        elif isinstance(body, State):
            self._state(db, pack, body, message, outcome)
        elif isinstance(body, BlackBox):
            store.add_black_box(db, pack.row, body.records, message.arrival_ms)
        else:
            self._samples(db, pack, body, message, outcome)

    def _pack(self, db: sqlite3.Connection, address: Address, body: object, seen_ms: int) -> _Pack:
        key = address.tenant, address.pack
        pack = self._packs.get(key)
        if pack is None:
            found = store.find_pack(db, *key)
            row = found[0] if found else store.add_pack(db, key[0], address.site, key[1], seen_ms)
            pack = _Pack(row, *key, found[1] if found else address.site)
            if found and found[2] is not None:
                query = db.execute("SELECT boot_id FROM boots WHERE id = ?", (found[2],))
                pack.current = query.fetchone()[0]
            self._packs[key] = pack
        if pack.site != address.site:
            if not isinstance(body, Birth):
                raise DecodeError(
                    f"pack {pack.name} of tenant {pack.tenant} is at site {pack.site}, not at {address.site};"
                    " a birth message from there would move it"
                )
            store.move_pack(db, pack.row, address.site)
            pack.site = address.site
        return pack

    def _birth(
        self, db: sqlite3.Connection, pack: _Pack, body: Birth, message: Message, outcome: Outcome
    ) -> None:
        # a retained birth was sent at an unknown time: it says nothing of the clock
        boot = self._boot(db, pack, body, message, live=not message.retained)
        store.set_birth(db, boot.row, body.about)
        text = boot_text(body.boot_id)
        if pack.current is None or not message.retained or text > pack.current:
            pack.current = text
            store.set_current_boot(db, pack.row, boot.row)
        if not message.retained:
            self._seen[pack] = True, message.arrival_ms
        outcome.changes.append(Change(pack.tenant, pack.name, "pack"))

    def _state(
        self, db: sqlite3.Connection, pack: _Pack, body: State, message: Message, outcome: Outcome
    ) -> None:
        # the will of a session that a newer boot has replaced says nothing of the pack now
        if not body.online and pack.current is not None and boot_text(body.boot_id) != pack.current:
            return
        self._seen[pack] = body.online, 0 if message.retained else message.arrival_ms
        outcome.changes.append(Change(pack.tenant, pack.name, "pack"))

    def _boot(
        self, db: sqlite3.Connection, pack: _Pack, body: Birth | Samples, message: Message, live: bool
    ) -> _Boot:
        text = boot_text(body.boot_id)
        boot = pack.boots.get(text)
        if boot is None and (found := store.find_boot(db, pack.row, text)) is not None:
            boot = pack.boots[text] = _Boot(found[0], body.boot_id, Clock(found[1], found[2]))
        known = boot.clock if boot else None
        if live:
            better = clock.observe(known, body.now_ms, body.utc_ms, body.utc_source, message.arrival_ms)
        elif known is not None and (known.source != clock.PLACED or not isinstance(body, Samples)):
            better = known
        else:
            device_ms = (
                [row.device_ms for row in body.samples] if isinstance(body, Samples) else [body.now_ms]
            )
            around = store.neighbours(db, pack.row, text)
            better = clock.place(known, min(device_ms), max(device_ms), *around, message.arrival_ms)
        if boot is None:
            row = store.add_boot(db, pack.row, text, better, message.arrival_ms)
            boot = pack.boots[text] = _Boot(row, body.boot_id, better)
        elif better != known and boot.may_set_clock(message.arrival_ms):
            store.set_clock(db, boot.row, better)
            boot.clock, boot.set_ms, boot.set_rows = better, message.arrival_ms, boot.rows
        return boot

    def _samples(
        self, db: sqlite3.Connection, pack: _Pack, body: Samples, message: Message, outcome: Outcome
    ) -> None:
        history = message.address is not None and message.address.leaf == "hist"
        text = boot_text(body.boot_id)
        # a re-send's now_ms is on the clock of the boot that the pack is in, not of the boot re-sent
        boot = self._boot(db, pack, body, message, live=not history or text == pack.current)
        if not history:
            if pack.current is None or text > pack.current:
                pack.current = text
                store.set_current_boot(db, pack.row, boot.row)
            self._seen[pack] = True, message.arrival_ms
        if body.unknown:
            keys = ", ".join(body.unknown)
            reason = f"pack {pack.name}, stream {body.stream}: no such key: {keys}; the known ones are stored"
            self._poison(db, message, reason, outcome)
        ranges = boot.ranges.get(body.stream)
        if ranges is None:
            ranges = boot.ranges[body.stream] = store.load_ranges(db, boot.row, body.stream)
        urgent = history or body.first_seq > ranges.upto
        new = self._new(db, pack, boot, body, ranges, outcome)
        if new:
            store.insert(db, body.stream, boot.row, pack.row, boot.clock.offset_ms, new)
            ranges.add(body.first_seq, body.last_seq)
            boot.rows += len(new)
            outcome.stored += len(new)
            # pages show what is happening; what is filled in later is in the history
            if not history or body.stream == EVT:
                offset_ms, rows = boot.clock.offset_ms, tuple(new)
                change = Change(pack.tenant, pack.name, body.stream, body.boot_id, offset_ms, rows)
                outcome.changes.append(change)
        urgent = urgent or self._touched.get((boot, body.stream), (pack, False))[1]
        self._touched[boot, body.stream] = pack, urgent

    def _new(
        self,
        db: sqlite3.Connection,
        pack: _Pack,
        boot: _Boot,
        body: Samples,
        ranges: Ranges,
        outcome: Outcome,
    ) -> list[tuple[int, Sample]]:
        rows = list(enumerate(body.samples, body.first_seq))
        if not ranges.overlaps(body.first_seq, body.last_seq):
            return rows
        new = [row for row in rows if row[0] not in ranges]
        conflicts = 0
        for seq, row in rows:
            if seq in ranges and self._differs(db, pack, boot, body.stream, seq, row):
                conflicts += 1
        duplicates = len(rows) - len(new) - conflicts
        store.count(db, body.stream, boot.row, duplicates, conflicts)
        outcome.duplicates += duplicates
        outcome.conflicts += conflicts
        return new

    def _differs(
        self, db: sqlite3.Connection, pack: _Pack, boot: _Boot, stream: str, seq: int, row: Sample
    ) -> bool:
        kept = store.stored(db, stream, boot.row, seq)
        came = (row.device_ms, *row.cells)
        if kept == came:
            return False
        names = ["device_ms", *(signal.name for signal in store.columns.COLUMNS[stream])]
        other: dict[str, Any] = {
            name: [first, then] for name, first, then in zip(names, kept, came, strict=True) if first != then
        }
        detail = json.dumps(other)[:2000]
        time_utc_ms = boot.clock.offset_ms + row.device_ms
        if store.add_conflict(db, pack.row, boot.row, stream, seq, time_utc_ms, detail):
            log.warning("pack %s: %s %d came again with other content: %s", pack.name, stream, seq, detail)
        return True
