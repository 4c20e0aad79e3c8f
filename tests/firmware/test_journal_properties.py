"""Random lives of a journal with power cuts anywhere: what boots find is what was stored, or in flight."""

from __future__ import annotations

import random

from bms.memory import trips
from bms.memory.journal import Journal
from bms.memory.kinds import BOOT, CHARGE, COUNTERS, FORGIVE, FRAME, LATCHED, STATE_KINDS, TRIP, Kind
from bms.memory.records import MAX_PAYLOAD, RECORD_HEAD, is_record, seal_record
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ram_nor import Nor, PowerCut

KINDS = (
    *STATE_KINDS,
    Kind(TRIP, "trip", 112, False, True, ""),
    Kind(FRAME, "frame", 52, False, False, ""),
)
STATES = (LATCHED, COUNTERS, BOOT, CHARGE)
SIZE = {row.id: row.size for row in KINDS}

APPENDS = st.tuples(
    st.just("append"), st.sampled_from((*STATES, TRIP, FRAME, FORGIVE)), st.integers(0, MAX_PAYLOAD)
)
FILLS = st.tuples(st.just("fill"), st.just(CHARGE), st.integers(1, 40))
STEPS = st.tuples(st.just("step"), st.integers(0, 1), st.integers(1, 30))
CUTS = st.tuples(st.just("cut"), st.sampled_from((0, 1, 2)), st.integers(0, 9000))
OPERATIONS = st.lists(st.one_of(APPENDS, FILLS, STEPS, CUTS), max_size=60)


class Life:
    """A journal, its flash, and what may be found in it."""

    def __init__(self, n_sectors: int, seed: int) -> None:
        self.nor = Nor(n_sectors)
        self.n_sectors = n_sectors
        self.random = random.Random(seed)
        self.allowed: dict[int, list[bytes | None]] = {kind: [None] for kind in STATES}
        self.written: set[tuple[int, bytes]] = set()
        self.journal = self.boot()

    def boot(self) -> Journal:
        self.nor.reboot()
        journal = Journal(self.nor, 0, self.n_sectors, KINDS)
        assert journal.damaged == 0 and not journal.full
        for kind, payloads in self.allowed.items():
            found = journal.last(kind)
            assert found in payloads, (kind, found, payloads)
            self.allowed[kind] = [found]
        seqs: list[int] = []
        for kind, seq, payload in trips.records(self.nor, 0, self.n_sectors):
            assert (kind, payload) in self.written
            seqs.append(seq)
        assert seqs == sorted(set(seqs))
        return journal

    def append(self, kind: int, n: int) -> None:
        payload = self.random.randbytes(min(n, SIZE[kind]))
        if self.journal.append(kind, payload, len(payload)):
            self.written.add((kind, payload))
            if kind in self.allowed:
                self.allowed[kind].append(payload)

    def step(self, quiet: bool) -> None:
        before = (self.nor.programs, sum(self.nor.erases))
        self.journal.step(quiet)
        after = (self.nor.programs, sum(self.nor.erases))
        assert sum(after) - sum(before) <= 1, "more than one operation of the NVM"
        for kind, payloads in self.allowed.items():
            if not self.journal.waiting(kind):
                del payloads[:-1]

    def do(self, what: str, how: int, count: int) -> None:
        if what == "append":
            self.append(how, count)
        elif what == "fill":
            for _ in range(count):
                self.append(CHARGE, 132)
                for _ in range(3):
                    self.step(True)
        elif what == "step":
            for _ in range(count):
                self.step(bool(how))
        else:
            self.cut(how, count)

    def cut(self, how: int, budget: int) -> None:
        # 0: bits in order; 1: any of the operation's bits; 2: right now
        self.nor.budget = budget if how < 2 else 0
        self.nor.scatter = (lambda _: self.random.getrandbits(8)) if how == 1 else None
        try:
            for _ in range(200):
                self.append(self.random.choice(STATES), self.random.randrange(133))
                self.step(True)
        except PowerCut:
            self.journal = self.boot()
        self.nor.budget = -1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OPERATIONS, st.sampled_from((2, 3, 4)), st.integers(0, 1 << 30))
@example([("fill", CHARGE, 40), ("cut", 1, 9000)] * 8, 2, 1)
def test_boots_find_what_was_stored_or_in_flight(
    operations: list[tuple[str, int, int]], n_sectors: int, seed: int
) -> None:
    life = Life(n_sectors, seed)
    for operation in operations:
        life.do(*operation)
    for _ in range(400):
        if not life.journal.step():
            break
    for payloads in life.allowed.values():
        del payloads[:-1]
    life.boot()


@given(st.binary(max_size=MAX_PAYLOAD), st.integers(1, 254), st.integers(1, 1 << 29), st.data())
def test_a_record_with_any_bit_turned_is_none(
    payload: bytes, kind: int, seq: int, data: st.DataObject
) -> None:
    page = bytearray(256)
    page[RECORD_HEAD : RECORD_HEAD + len(payload)] = payload
    seal_record(page, kind, len(payload), seq)
    assert is_record(page, 0) >= RECORD_HEAD + len(payload)
    assert trips.parse(bytes(page[: RECORD_HEAD + len(payload)])) == (kind, seq, payload)
    bit = data.draw(st.integers(8, 8 * (RECORD_HEAD + len(payload)) - 1))
    page[bit // 8] ^= 1 << bit % 8
    assert is_record(page, 0) == 0


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=600), st.integers(0, 3 * 4096 - 600), st.integers(0, 200))
def test_an_area_with_garbage_in_it_is_never_a_stored_state(garbage: bytes, at: int, fills: int) -> None:
    life = Life(3, 5)
    life.append(LATCHED, 9)
    for _ in range(fills % 60):
        life.do("fill", CHARGE, 1)
    life.nor.data[at : at + len(garbage)] = garbage
    journal = Journal(life.nor, 0, 3, KINDS)
    for kind in STATES:
        found = journal.last(kind)
        assert found is None or (kind, found) in life.written
    if journal.last(LATCHED) is None and not journal.blank:
        assert journal.damaged > 0 or garbage == b""
