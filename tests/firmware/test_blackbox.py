"""What survives a loss of power: latches, counters, charge; trips with their frames; and the read-out."""

import micropython

from bms.memory import trips
from bms.memory.blackbox import AFTER, BEFORE, MAX_CELLS, BlackBox
from bms.memory.journal import Journal
from bms.memory.kinds import BLACKBOX_KINDS, BOOT, CHARGE, COUNTERS, FRAME, LATCHED, TRIP
from bms.memory.readout import MAX_PIECE, Assembly, Readout
from bms.memory.store import Memory
from bms.memory.state import (
    CHARGE_EVERY_TICKS, CLOSINGS, COUNTER_NAMES, TRIPS, Charge, Counters, Latches, store_boot,
)  # fmt: skip
from bms.sample import UNKNOWN_CPCT, Snapshot
from ram_nor import Nor

HASH = b"12345678"


def drain(journal: Journal) -> None:
    for _ in range(200):
        if not journal.step():
            return
    raise AssertionError("never done")


def bitmap(*ids: int) -> bytearray:
    found = bytearray(8)
    for id in ids:
        found[id >> 3] |= 1 << (id & 7)
    return found


def test_latched_faults_and_welds_survive():
    nor = Nor(2)
    latches = Latches(Journal(nor, 0, 2))
    assert not latches.corrupt and not latches.stored and latches.weld == 0
    journal = Journal(nor, 0, 2)
    latches = Latches(journal)
    drain(journal)
    assert latches.stored and bytes(latches.bitmap) == bytes(8)
    before = journal.committed
    latches.store(bytes(8), 0)
    assert latches.stored, "nothing changed"
    latches.store(bitmap(3, 63), 4)
    assert not latches.stored
    drain(journal)
    assert latches.stored and journal.committed == before + 1
    latches = Latches(Journal(nor, 0, 2))
    assert bytes(latches.bitmap) == bytes(bitmap(3, 63)) and latches.weld == 4 and not latches.corrupt


def test_a_damaged_journal_says_so_until_an_operator_takes_it_as_it_is():
    nor = Nor(2)
    journal = Journal(nor, 0, 2)
    latches = Latches(journal)
    drain(journal)
    latches.store(bitmap(3), 0)
    drain(journal)
    nor.data[16 + 32 + 13] ^= 1  # in the second record
    for _ in range(2):
        journal = Journal(nor, 0, 2)
        latches = Latches(journal)
        drain(journal)
        assert latches.corrupt
    latches.accept()
    assert not latches.corrupt
    drain(journal)
    assert not Latches(Journal(nor, 0, 2)).corrupt


def test_a_journal_without_a_latch_record_is_not_believed():
    nor = Nor(2)
    journal = Journal(nor, 0, 2)
    store_boot(journal, 1, 0, HASH)
    drain(journal)
    journal = Journal(nor, 0, 2)
    assert journal.damaged == 0 and Latches(journal).corrupt
    assert journal.last(BOOT) == b"\x01\0\0\0\0" + HASH
    journal = Journal(Nor(2), 0, 2)
    journal.append(LATCHED, b"short", 5)
    drain(journal)
    assert Latches(journal).corrupt


def test_counters_go_on_over_reboots():
    nor = Nor(2)
    journal = Journal(nor, 0, 2)
    for boot in range(3):
        journal = Journal(nor, 0, 2)
        counters = Counters(journal)
        assert counters.values[CLOSINGS] == 2 * boot and counters.values[TRIPS] == boot
        counters.add(CLOSINGS)
        counters.add(TRIPS)
        counters.add(CLOSINGS)
        drain(journal)
    journal.append(COUNTERS, b"\x07\0\0\0", 4)  # of a firmware that had fewer
    drain(journal)
    counters = Counters(Journal(nor, 0, 2))
    assert list(counters.values) == [7] + [0] * (len(COUNTER_NAMES) - 1)
    assert counters.named()["closings"] == 7


def test_charge_survives_with_what_the_estimator_keeps():
    nor = Nor(2)
    journal = Journal(nor, 0, 2)
    charge = Charge(journal)
    assert charge.sigma_cpct == UNKNOWN_CPCT and charge.extra == b""
    assert not charge.due(CHARGE_EVERY_TICKS - 1) and charge.due(CHARGE_EVERY_TICKS)
    last = 0x3FFF_FFFF
    charge.store(last, 4321, 77, b"covariance...", 10)
    assert not charge.due(last) and not charge.due(CHARGE_EVERY_TICKS - 2)
    assert charge.due(CHARGE_EVERY_TICKS - 1)
    drain(journal)
    charge = Charge(Journal(nor, 0, 2))
    assert (charge.soc_cpct, charge.sigma_cpct, charge.extra) == (4321, 77, b"covariance")
    charge.store(5, 1, 2)
    assert journal.last(CHARGE) == b"\xe1\x10\x4d\x00covariance"


class Bench:
    """A black box with a pack whose pack voltage counts the periods."""

    def __init__(self, nor: Nor, boot: int = 7, n_cells: int = 4) -> None:
        self.journal = Journal(nor, 0, nor.size // 4096, BLACKBOX_KINDS)
        self.box = BlackBox(self.journal, boot, 3, HASH)
        self.snapshot = Snapshot(n_cells, 2)
        for i in range(n_cells):
            self.snapshot.cell_mv[i] = 3700 + i
        self.snapshot.fast_known = self.snapshot.temps_known = True
        self.snapshot.temp_min_dc = -105
        self.snapshot.current_ma = -1500
        self.snapshot.faults[0] = 8

    def period(self, steps: int = 20) -> None:
        self.snapshot.tick += 20
        self.snapshot.pack_mv = self.snapshot.tick
        self.box.frame(self.snapshot, 5000, 250, 2)
        for _ in range(steps):
            self.box.step()
            self.journal.step()

    def trip(self, fault: int = 3, late_ticks: int = 5) -> None:
        # as the task sees it: in the period after the tick that tripped
        tick = self.snapshot.tick + 20 - late_ticks
        self.snapshot.tick += 20
        self.box.trip(self.snapshot, tick, 5 * tick + 300, fault, 2, 4260, 4250, 15, 5000, 2)
        self.snapshot.tick -= 20

    def run(self, periods: int) -> None:
        for _ in range(periods):
            self.period()


def stored(nor: Nor) -> "list[trips.Incident]":
    return trips.incidents(trips.records(nor, 0, nor.size // 4096))


def test_a_trip_is_stored_with_what_was_before_and_after():
    nor = Nor(3)
    bench = Bench(nor)
    bench.run(50)
    assert stored(nor) == [] and not bench.box.busy
    bench.trip()
    assert bench.box.busy
    bench.run(AFTER + 1)
    assert not bench.box.busy and bench.box.incidents == 1 and bench.box.lost == 0
    bench.run(20)
    (incident,) = stored(nor)
    assert (incident.boot, incident.number) == (7, 1)
    (trip,) = incident.trips
    assert (trip["fault"], trip["index"], trip["value"], trip["limit"]) == (3, 2, 4260, 4250)
    assert (trip["tick"], trip["age_ms"], trip["soc_cpct"], trip["limiter"]) == (1015, 15, 5000, 2)
    assert trip["device_ms"] == 5375
    assert (trip["boot_cause"], trip["params_hash"]) == (3, HASH)
    assert trip["cell_mv"] == [3700, 3701, 3702, 3703] and trip["n_cells"] == 4
    assert trips.fault_ids(trip["faults"]) == [3]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    frames = incident.frames
    assert [frame["offset_ms"] for frame in frames] == list(range(25 - 100 * BEFORE, 100 * AFTER + 26, 100))
    assert frames[BEFORE]["tick"] == 1020, "the first one that knows of the trip"
    assert [frame["pack_mv"] for frame in frames] == [frame["tick"] for frame in frames]
    assert frames[0]["known"] == 5 and frames[0]["temp_min_dc"] == -105
    assert frames[0]["current_ma"] == -1500 and frames[0]["current_limit_da"] == 250


def test_trips_close_together_share_their_frames_and_later_ones_do_not():
    nor = Nor(4)
    bench = Bench(nor)
    bench.trip(0)  # right after boot: there is nothing before it
    bench.period()
    bench.trip(4)
    bench.run(AFTER + 2)
    bench.run(BEFORE)
    bench.trip(5)
    bench.run(AFTER + 1)
    first, second = stored(nor)
    assert [trip["fault"] for trip in first.trips] == [0, 4]
    assert [frame["offset_ms"] for frame in first.frames] == list(range(25, 1100, 100))
    assert [trip["fault"] for trip in second.trips] == [5] and len(second.frames) == BEFORE + AFTER + 1
    assert (first.number, second.number) == (1, 2)
    again = Bench(nor, 8)
    assert again.box.incident == 2, "numbers go on"
    again.trip(6)
    again.run(AFTER + 1)
    assert [(incident.boot, incident.number) for incident in stored(nor)] == [(7, 1), (7, 2), (8, 3)]


def test_more_at_once_than_there_is_room_for_is_counted():
    nor = Nor(3)
    bench = Bench(nor, 7, 40)
    bench.run(30)
    for fault in range(6):
        bench.trip(fault)
    assert bench.box.lost == 3
    for _ in range(45):  # the journal hangs
        bench.period(0)
    bench.run(3)
    assert not bench.box.busy and bench.box.incidents == 1
    assert bench.box.lost == 3 + BEFORE + AFTER + 1
    (incident,) = stored(nor)
    assert [trip["fault"] for trip in incident.trips] == [0, 1, 2] and incident.frames == []
    assert len(incident.trips[0]["cell_mv"]) == MAX_CELLS  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_some_of_the_frames_lost_and_the_rest_stored():
    nor = Nor(3)
    bench = Bench(nor)
    bench.run(30)
    bench.trip()
    for _ in range(AFTER + 6):
        bench.period(0)
    bench.run(5)
    (incident,) = stored(nor)
    assert bench.box.lost == 5 and len(incident.frames) + bench.box.lost == BEFORE + AFTER + 1


def test_the_black_box_allocates_nothing():
    nor = Nor(3)
    bench = Bench(nor)
    bench.run(30)
    micropython.heap_lock()
    try:
        bench.trip()
        bench.run(12)
    finally:
        micropython.heap_unlock()
    assert len(stored(nor)) == 1


def test_read_out_in_pieces():
    state, box = Nor(2), Nor(3)
    journal = Journal(state, 0, 2)
    Charge(journal).store(0, 5000, 100, bytes(128), 128)
    drain(journal)
    bench = Bench(box, 7, 32)
    bench.run(5)
    bench.trip()
    bench.run(AFTER + 1)
    readout = Readout((journal, bench.journal))
    buf = bytearray(128)
    pieces: "list[bytes]" = []
    other = Assembly()
    assert readout.next_frame(buf) == 0
    for _ in range(2):
        other = Assembly()
        readout.start()
        pieces.clear()
        while True:
            n = readout.next_frame(buf)
            assert n <= MAX_PIECE
            if not n:
                break
            pieces.append(bytes(buf[:n]))
            other.take(pieces[-1])
        assert other.complete and readout.next_frame(buf) == 0
        entries = [trips.parse(raw) for raw in other.records]
        assert [entry[0] for entry in entries[:2]] == [CHARGE, TRIP]
        assert entries[0][2] == b"\x88\x13\x64\x00" + bytes(128)
        assert [entry[0] for entry in entries[2:]] == [FRAME] * (5 + AFTER + 1)
        (incident,) = trips.incidents(entries)
        assert len(incident.frames) == 5 + AFTER + 1 and len(incident.trips) == 1
    for lost in (0, 1):  # either piece of the longest record
        lossy = Assembly()
        for piece in pieces[:lost] + pieces[lost + 1 :]:
            lossy.take(piece)
        assert len(lossy.records) == len(other.records) - 1 and lossy.complete


def test_bytes_that_are_no_record_are_refused():
    nor = Nor(2)
    bench = Bench(nor)
    bench.trip()
    bench.run(2)
    journal = bench.journal
    readout = Readout((journal,))
    readout.start()
    n = readout.next_record()
    raw = bytes(readout.records.page[readout.records.start : readout.records.start + n])
    kind, seq, payload = trips.parse(raw)
    assert (kind, seq) == (TRIP, 1)
    for wrong in (b"", raw[:-1], raw + bytes(256), raw[:20] + b"?" + raw[21:]):
        refused(trips.parse, wrong)
    for wrong in (payload[:-1], payload[:10], b""):
        refused(trips.trip, wrong)
    refused(trips.frame, b"x")
    image = trips.Image(bytes(nor.data))
    assert len(list(trips.records(image, 0, 2))) == len(list(trips.records(nor, 0, 2)))
    assert list(trips.records(trips.Image(b""), 0, 2)) == []
    for write in (lambda: image.program(0, b"1"), lambda: image.erase(0)):
        try:
            write()
            raise AssertionError("taken")
        except ValueError as error:
            assert "only read" in str(error)


class SparseNor(Nor):
    """A NOR of any size of which only the sectors written to take room."""

    def __init__(self) -> None:
        super().__init__(0)
        self._sectors: "dict[int, bytearray]" = {}

    def read(self, addr: int, buf: bytearray) -> None:
        sector = self._sectors.get(addr // 4096)
        for i in range(len(buf)):
            buf[i] = sector[addr % 4096 + i] if sector else 0xFF

    def program(self, addr: int, data: "bytes | bytearray") -> None:
        sector = self._sectors.setdefault(addr // 4096, bytearray(b"\xff" * 4096))
        for i in range(len(data)):
            sector[addr % 4096 + i] &= data[i]

    def erase(self, addr: int) -> None:
        self._sectors.pop(addr // 4096, None)


def test_all_of_a_board_s_memory():
    nor = SparseNor()
    memory = Memory(nor, 5, 2, HASH)
    assert not memory.corrupt
    memory.latches.store(bitmap(9), 1)
    memory.counters.add(CLOSINGS)
    memory.charge.store(0, 8000, 50)
    snapshot = Snapshot(4, 2)
    memory.box.frame(snapshot, 0, 0, 0)
    memory.box.trip(snapshot, 7, 35, 9, 1, 2, 3, 4, 5, 6)
    steps = 0
    while memory.step() or memory.box.busy:
        memory.box.frame(snapshot, 0, 0, 0)
        steps += 1
        assert steps < 300
    lost = memory.box.lost
    memory = Memory(nor, 6, 0, HASH)
    assert bytes(memory.latches.bitmap) == bytes(bitmap(9)) and memory.latches.weld == 1
    assert memory.counters.values[CLOSINGS] == 1 and memory.charge.soc_cpct == 8000
    assert memory.box.incident == 1 and not memory.corrupt
    other = Assembly()
    buf = bytearray(MAX_PIECE)
    memory.readout.start()
    n = memory.readout.next_frame(buf)
    while n:
        other.take(bytes(buf[:n]))
        n = memory.readout.next_frame(buf)
    kinds = [trips.parse(raw)[0] for raw in other.records]
    assert kinds[:4] == [LATCHED, COUNTERS, BOOT, CHARGE]
    assert kinds.count(FRAME) + lost == AFTER + 2
    (incident,) = trips.incidents(trips.parse(raw) for raw in other.records)
    assert incident.trips[0]["boot_cause"] == 2 and incident.trips[0]["fault"] == 9


def refused(take: object, wrong: bytes) -> None:
    try:
        take(wrong)  # type: ignore[operator]  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues]
    except trips.RecordError as error:
        assert str(error)
    else:
        raise AssertionError("taken")
