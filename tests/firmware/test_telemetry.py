"""What the pack says and hears: messages, order, re-sends, acknowledgements, flapping brokers."""

import gc
from array import array

import micropython
from bms.link import cbor, telemetry
from bms.link.telemetry import MISSING, Telemetry
from bms.memory.identity import Identity
from bms.sample import Snapshot
from bms.tables import signals
from fake_broker import Broker, publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BOOT = 7 << 32 | 0xDEADBEEF
TOPIC = b"bms/1/t/s/p/"
WHO: "dict[str, object]" = {
    "tenant": "t",
    "site": "s",
    "pack": "p",
    "chemistry": 0,
    "series": 4,
    "temps": 2,
    "capacity_mah": 3000,
}
KEY = {row.name: row.key for row in signals.SIGNALS}
FAULTS = array("b", [0, 3])


def as_map(body: object) -> "dict[int, Any] | None":
    if not isinstance(body, dict):
        return None
    return body  # pyright: ignore[reportUnknownVariableType]  isinstance leaves members open


def told(payload: bytes) -> "dict[int, Any]":
    """A message of the pack."""
    body = as_map(cbor.decode(payload))
    assert body is not None
    return body


class Rig:
    """A pack's telemetry, its broker, and a cloud that keeps what it is told and can acknowledge it."""

    def __init__(self, start_ms: int = 0, **options: "Any") -> None:
        self.broker = Broker()
        self.ms = start_ms
        self.mqtt = telemetry.client(self.broker, Identity(dict(WHO)), BOOT, lambda: 0)
        birth: "dict[int, object]" = {
            signals.SCHEMA_ID: 1,
            signals.FIRMWARE: "0.1.0",
            signals.PARAMS_HASH: b"12345678",
        }
        self.out = Telemetry(self.mqtt, Identity(dict(WHO)), BOOT, birth, **options)
        self.row = telemetry.row()
        self.row[KEY["pack_voltage_v"]] = 14_800
        self.row[KEY["current_a"]] = -2500
        self.snapshot = Snapshot(4, 2)

    def run(self, ms: int, report: bool = False) -> None:
        for _ in range(ms // 50):
            self.ms += 50
            if report and self.ms % 1000 == 0:
                self.out.report(self.ms, self.row, FAULTS, 0)
            self.out.poll(self.ms)

    def messages(self, leaf: str) -> "list[dict[int, Any]]":
        return [told(body) for topic, body, _ in self.broker.messages() if topic == TOPIC + leaf.encode()]

    def seqs(self, leaf: str) -> "list[int]":
        found: "list[int]" = []
        for body in self.messages(leaf):
            found.extend(range(body[signals.SEQ], body[signals.SEQ] + body[signals.N]))
        return found

    def ack(
        self, upto: int, gaps: "list[tuple[int, int]] | tuple[()]" = (), stream: int = 0, boot_id: int = BOOT
    ) -> None:
        body = {
            signals.STREAM: stream, signals.BOOT_ID: boot_id, signals.UPTO: upto,
            signals.GAPS: [list(gap) for gap in gaps],
        }  # fmt: skip
        self.hear(cbor.encode(body))

    def hear(self, payload: bytes, leaf: bytes = b"ack") -> None:
        self.broker.out.extend(publish(TOPIC + leaf, payload, 9))
        self.run(50)


def up(**options: "Any") -> Rig:
    rig = Rig(**options)
    rig.run(500)
    assert rig.out.connected
    return rig


def test_a_connection_begins_with_will_birth_and_state():
    rig = up()
    assert cbor.encode({signals.BOOT_ID: BOOT, signals.ONLINE: 0}) in rig.broker.last(1)
    (birth, state) = rig.broker.messages()
    assert (birth[0], birth[2], state[0], state[2]) == (TOPIC + b"birth", 1, TOPIC + b"state", 1)
    body = told(birth[1])
    assert body[signals.BOOT_ID] == BOOT
    assert body[signals.FIRMWARE] == "0.1.0"
    assert 0 < body[signals.NOW_MS] <= rig.ms
    assert signals.UTC_MS not in body
    assert cbor.decode(state[1]) == {signals.BOOT_ID: BOOT, signals.ONLINE: 1}
    assert rig.broker.last(8)[4:-1] == TOPIC + b"ack"


def test_birth_and_state_come_again_with_each_connection_and_on_demand():
    rig = up()
    rig.out.set_utc(1_800_000_000_000, "sntp", rig.ms)
    rig.broker.hung_up = True
    rig.run(3000)
    assert rig.out.connected
    assert [topic for topic, _, _ in rig.broker.messages()] == [TOPIC + b"birth", TOPIC + b"state"] * 2
    body = rig.messages("birth")[1]
    assert body[signals.UTC_MS] - body[signals.NOW_MS] == 1_800_000_000_000 - 500
    assert signals.UTC_SOURCES[body[signals.UTC_SOURCE]] == "sntp"
    rig.out.birth[signals.FIRMWARE] = "0.2.0"
    rig.out.announce()
    rig.run(100)
    assert rig.messages("birth")[2][signals.FIRMWARE] == "0.2.0"


def test_a_tele_message_says_what_was_reported():
    rig = up()
    rig.row[KEY["soc"]] = 5120
    rig.out.set_utc(1_800_000_000_000, "rig", rig.ms - 100)
    assert rig.out.report(12_345, rig.row, FAULTS, 2) == 0
    rig.row[KEY["soc"]] = MISSING
    assert rig.out.report(12_400, rig.row, FAULTS, 0) == 1
    rig.ms = 14_000
    rig.run(50)
    sent_ms = rig.ms
    rig.run(50)
    (body,) = rig.messages("tele")
    assert (body[signals.BOOT_ID], body[signals.SEQ], body[signals.N]) == (BOOT, 0, 2)
    assert body[signals.NOW_MS] == sent_ms
    assert body[signals.UTC_MS] == 1_800_000_000_000 + sent_ms - 400
    assert body[signals.SAMPLES] == [
        {0: 12_345, 1: 14_800, 2: -2500, KEY["soc"]: 5120, KEY["dropped"]: 0, KEY["faults"]: [0, 3]},
        {0: 12_400, 1: 14_800, 2: -2500, KEY["dropped"]: 0, KEY["faults"]: []},
    ]
    # what guards against torn messages must end the message
    assert rig.broker.messages()[-1][1][-2:] == b"\x22\x02"


def test_a_message_torn_by_a_reset_cannot_be_taken_for_a_whole_one():
    rig = up()
    for _ in range(8):
        rig.out.report(rig.ms, rig.row, FAULTS, 0)
    rig.run(2000)
    whole = rig.broker.messages()[-1][1]
    after = b"\x10" + rig.broker.last(1)
    for kept in range(1, len(whole)):
        torn = (whole[:kept] + after + after * 3)[: len(whole)]
        try:
            body = as_map(cbor.decode(torn))
        except cbor.DecodeError:
            continue
        assert body is None or body.get(signals.N) != len(body[signals.SAMPLES])


def test_an_event_leaves_at_once_with_its_freeze_frame():
    rig = up()
    for name, value in (("fault", 3), ("raised", 1), ("value", 4321), ("limit", 4250), ("index", -1)):
        rig.row[KEY[name]] = value
    rig.out.report(rig.ms, rig.row, FAULTS, 0)
    rig.out.event(rig.ms, rig.row, FAULTS, 2)
    rig.run(100)
    assert rig.messages("tele") == []
    (body,) = rig.messages("evt")
    (frozen,) = body[signals.SAMPLES]
    assert frozen[KEY["faults"]] == [0, 3]
    assert [frozen[key] for key in (1, 2, 20, 21, 22, 23, 24)] == [14_800, -2500, 3, 1, 4321, 4250, -1]
    assert KEY["dropped"] not in frozen


def test_cells_come_every_five_seconds_or_when_one_moves():
    rig = up()
    assert not rig.out.cells(rig.ms, rig.snapshot)  # nothing is known yet
    rig.snapshot.cells_known = rig.snapshot.temps_known = True
    rig.snapshot.cell_mv[2] = 3700
    rig.snapshot.temp_dc[1] = -55
    assert rig.out.cells(1000, rig.snapshot)
    assert not rig.out.cells(5999, rig.snapshot)
    assert rig.out.cells(6000, rig.snapshot)
    rig.snapshot.cell_mv[2] += 19
    assert not rig.out.cells(7000, rig.snapshot)
    rig.snapshot.cell_mv[2] += 1
    assert rig.out.cells(8000, rig.snapshot)
    rig.snapshot.temps_known = False
    assert rig.out.cells(13_000, rig.snapshot)
    rig.ms = 14_000
    rig.run(100)
    samples = rig.messages("cells")[0][signals.SAMPLES]
    assert [entry[0] for entry in samples] == [1000, 6000, 8000, 13_000]
    assert samples[0] == {0: 1000, KEY["cell_voltage_v"]: [0, 0, 3700, 0], KEY["temperature_c"]: [0, -55]}
    assert samples[3] == {0: 13_000, KEY["cell_voltage_v"]: [0, 0, 3720, 0]}
    rig.broker.hung_up = True
    rig.run(50)
    rig.snapshot.cell_mv[2] += 500
    assert not rig.out.cells(14_000, rig.snapshot)  # the store is for time, not for detail


def test_cells_tell_which_of_them_are_bled():
    rig = up()
    rig.snapshot.cells_known = True
    bled = bytearray(4)
    assert rig.out.cells(1000, rig.snapshot, bled)
    bled[0] = 0b1001
    bled[3] = 0x80
    assert rig.out.cells(6000, rig.snapshot, bled)
    rig.ms = 7000
    rig.run(100)
    samples = rig.messages("cells")[0][signals.SAMPLES]
    assert [entry[KEY["balancing_cells"]] for entry in samples] == [[], [0, 3, 31]]


def test_the_largest_pack_fits():
    rig = up(start_ms=2**41)
    big = Snapshot(96, 32)
    big.cells_known = big.temps_known = True
    for i in range(96):
        big.cell_mv[i] = 4200
    for i in range(32):
        big.temp_dc[i] = -400
    assert rig.out.cells(rig.ms, big, bytearray(b"\xff" * 4))
    rig.run(2000)
    assert len(rig.messages("cells")[0][signals.SAMPLES][0][KEY["cell_voltage_v"]]) == 96


def test_every_sample_leaves_within_flush_and_a_second_of_its_report():
    rig = up()
    rig.run(20_000, report=True)
    bodies = rig.messages("tele")
    assert rig.seqs("tele") == list(range(len(rig.seqs("tele"))))
    assert len(rig.seqs("tele")) >= 19
    for body in bodies:
        assert body[signals.NOW_MS] - body[signals.SAMPLES][0][0] <= 1050


def test_acknowledged_samples_are_freed_and_not_sent_again():
    rig = up()
    for _ in range(12):
        rig.run(5000, report=True)
        rig.ack(rig.out.next_seq - 1)
    assert rig.out.pending <= 2
    assert rig.messages("hist") == []
    assert rig.out.acks == 12


def test_unacknowledged_samples_come_again_under_their_own_seq():
    rig = up()
    for _ in range(3):
        rig.out.report(rig.ms, rig.row, FAULTS, 0)
    rig.run(8000)
    assert rig.messages("hist") == []
    rig.run(3000)
    (again,) = rig.messages("hist")
    (first,) = rig.messages("tele")
    assert again[signals.STREAM] == signals.STREAMS.index("tele")
    for field in (signals.BOOT_ID, signals.SEQ, signals.N, signals.SAMPLES):
        assert again[field] == first[field]
    # without any acknowledgement it gets quieter
    rig.run(120_000)
    assert 4 <= len(rig.messages("hist")) <= 7
    rig.ack(3)
    before = len(rig.messages("hist"))
    rig.run(60_000)
    assert len(rig.messages("hist")) == before
    assert rig.out.pending == 0


def test_gaps_are_filled_from_the_store():
    rig = up()
    rig.run(10_000, report=True)
    assert len(rig.seqs("tele")) >= 9
    rig.run(2500)
    rig.broker.heard.clear()
    rig.ack(8, [(2, 3), (6, 6)])
    rig.run(500)
    assert rig.seqs("hist") == [2, 3, 6]
    assert rig.out.pending == 5
    rig.ack(10)
    assert rig.out.pending == 0


def test_acknowledgements_of_others_and_malformed_ones_are_counted_and_ignored():
    rig = up()
    for _ in range(4):
        rig.out.report(rig.ms, rig.row, FAULTS, 0)
    rig.run(1500)
    rig.ack(4, boot_id=BOOT - 1)
    assert rig.out.foreign_acks == 1
    good: "dict[int, object]" = {signals.STREAM: 0, signals.BOOT_ID: BOOT, signals.UPTO: 4, signals.GAPS: []}
    bad = [b"", b"\xff", b"\x80", b"\xa1\x01", b"\x9b" + b"\xff" * 8, b"\x81" * 500]
    wrong: "tuple[tuple[int, object], ...]" = (
        (signals.STREAM, 3), (signals.STREAM, -1), (signals.STREAM, "tele"), (signals.STREAM, None),
        (signals.UPTO, 5), (signals.UPTO, -1), (signals.UPTO, True), (signals.UPTO, b"4"),
        (signals.UPTO, 2**64 - 1),
        (signals.GAPS, 5), (signals.GAPS, [1, 2]), (signals.GAPS, [[1]]), (signals.GAPS, [[1, 2, 3]]),
        (signals.GAPS, [["a", "b"]]), (signals.GAPS, [[2, 1]]), (signals.GAPS, [[3, 4]]), (signals.GAPS, {}),
    )  # fmt: skip
    for field, value in wrong:
        body = dict(good)
        body[field] = value
        bad.append(cbor.encode(body))
    for payload in bad:
        rig.hear(payload)
    assert rig.out.bad_acks == len(bad)
    assert rig.out.pending == 4
    assert rig.out.connected
    del good[signals.GAPS]
    rig.hear(cbor.encode(good))
    assert (rig.out.acks, rig.out.pending) == (1, 0)


def test_other_topics_go_to_whoever_asked_for_them():
    rig = up()
    heard: "list[tuple[bytes, bytes]]" = []
    rig.hear(b"x", b"cmd/1")
    rig.out.other = lambda topic, payload: heard.append((topic, bytes(payload)))
    rig.hear(b"y", b"cmd/2")
    assert heard == [(TOPIC + b"cmd/2", b"y")]
    assert rig.out.bad_acks == 0


def test_an_outage_is_made_up_as_history_while_live_goes_on():
    rig = up()
    rig.run(5000, report=True)
    rig.ack(4)
    rig.broker.reachable = False
    rig.broker.hung_up = True
    rig.run(100_000, report=True)
    rig.broker.reachable = True
    rig.broker.heard.clear()
    rig.run(40_000, report=True)
    assert rig.out.connected
    live = rig.seqs("tele")
    assert live[0] > 90
    assert live == list(range(live[0], live[0] + len(live)))
    past = rig.seqs("hist")
    assert past[: live[0] - 4] == list(range(4, live[0]))
    rig.ack(rig.out.next_seq - 1)
    assert rig.out.pending <= 1
    assert rig.out.dropped == 0


def test_a_short_flap_leaves_no_history():
    rig = up()
    rig.run(3000, report=True)
    rig.ack(3)
    rig.broker.hung_up = True
    rig.run(3000, report=True)
    rig.run(2000)
    assert rig.out.connected
    assert rig.seqs("tele") == list(range(6))
    assert rig.messages("hist") == []


def test_events_are_not_dropped_for_tele():
    rig = Rig(tele_bytes=512)
    rig.broker.reachable = False
    rig.row[KEY["fault"]] = 3
    rig.out.event(0, rig.row, FAULTS, 1)
    rig.run(60_000, report=True)
    assert rig.out.dropped > 30
    rig.broker.reachable = True
    rig.run(40_000, report=True)
    assert rig.seqs("evt")[0] == 0
    (sample,) = rig.messages("tele")[-1][signals.SAMPLES][-1:]
    assert rig.out.dropped - 5 <= sample[KEY["dropped"]] <= rig.out.dropped


def test_history_never_takes_the_last_place_in_the_window():
    rig = up()
    rig.broker.hung_up = True
    rig.broker.reachable = False
    rig.run(60_000, report=True)
    rig.broker.reachable = True
    while not rig.out.connected:
        rig.run(50)
    rig.run(200)
    rig.broker.answers[3] = False
    rig.run(1000)
    assert rig.mqtt.window(100) == 1
    rig.out.event(rig.ms, rig.row, FAULTS, 1)
    rig.broker.heard.clear()
    rig.run(100)
    assert rig.seqs("evt") == [0]


def test_device_time_beyond_thirty_days():
    rig = up(start_ms=2**32 - 296)
    for _ in range(4):
        rig.run(5000, report=True)
        rig.ack(rig.out.next_seq - 2)
    assert len(rig.seqs("tele")) >= 19
    assert rig.out.pending <= 3
    assert rig.messages("hist") == []
    assert rig.messages("tele")[-1][signals.NOW_MS] > 2**32


class Line:
    """A broker that allocates nothing; each write brings whole packets shorter than 16 kB."""

    def __init__(self) -> None:
        self.out = bytearray(64)
        self.n = 0
        self.messages = 0

    def open(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def readinto(self, buf: bytearray) -> int:
        n = i = self.n
        while i:
            i -= 1
            buf[i] = self.out[i]
        self.n = 0
        return n

    def _answer(self, a: int, b: int, c: int, d: int) -> None:
        at = self.n
        self.out[at] = a
        self.out[at + 1] = b
        self.out[at + 2] = c
        self.out[at + 3] = d
        self.n = at + 4

    def write(self, buf: bytearray, n: int) -> int:
        at = 0
        while at < n:
            kind = buf[at] >> 4
            size = buf[at + 1]
            at += 2
            if size > 127:
                size = (size & 127) | buf[at] << 7
                at += 1
            if kind == 1:
                self._answer(0x20, 2, 0, 0)
            elif kind == 8:
                self._answer(0x90, 3, buf[at], buf[at + 1])
                self.out[self.n] = 1
                self.n += 1
            elif kind == 3:
                ident = at + 2 + buf[at + 1]
                self._answer(0x40, 2, buf[ident], buf[ident + 1])
                self.messages += 1
            at += size
        return n


def test_reporting_allocates_nothing():
    line = Line()
    out = Telemetry(
        telemetry.client(line, Identity(dict(WHO)), BOOT, lambda: 0), Identity(dict(WHO)), BOOT, {}
    )
    snapshot = Snapshot(4, 2)
    snapshot.cells_known = snapshot.temps_known = True
    row = telemetry.row()
    for ms in range(0, 6000, 50):
        out.cells(ms, snapshot)
        out.poll(ms)
    before = line.messages
    gc.collect()
    micropython.heap_lock()
    try:
        ms = 6000
        while ms < 60_000:
            if ms % 1000 == 0:
                out.report(ms, row, FAULTS, 2)
                out.event(ms, row, FAULTS, 2)
                out.cells(ms, snapshot)
            out.poll(ms)
            ms += 50
    finally:
        micropython.heap_unlock()
    assert line.messages - before > 100
    assert out.connected
    assert out.mqtt.connects == 1
