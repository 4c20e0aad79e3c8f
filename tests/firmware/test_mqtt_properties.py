"""The client and the telemetry against arbitrary bytes and arbitrary timing."""

from array import array
from typing import Any, cast

from bms.link import cbor, telemetry
from bms.link.telemetry import Telemetry
from bms.memory.identity import Identity
from bms.tables import signals
from fake_broker import Broker, packet, publish
from hypothesis import given, settings
from hypothesis import strategies as st

ACK = b"bms/1/t/s/p/ack"
FAULTS = array("b", [0])
IDENTITY = Identity(
    {"tenant": "t", "site": "s", "pack": "p", "chemistry": 0, "series": 4, "temps": 2, "capacity_mah": 3000}
)


def ack(stream: int, boot_id: int, upto: int, gaps: list[list[int]] | None) -> bytes:
    """An acknowledgement as the cloud publishes it, or nonsense in its form."""
    body = {signals.STREAM: stream, signals.BOOT_ID: boot_id, signals.UPTO: upto, signals.GAPS: gaps}
    return publish(ACK, cbor.encode(body, 1 << 12))


PACKETS = (
    st.binary(max_size=80)
    | st.builds(packet, st.integers(0, 255), st.binary(max_size=40))
    | st.builds(publish, st.sampled_from([ACK, b"x"]), st.binary(max_size=40), st.integers(0, 65_535))
    | st.builds(
        ack,
        st.integers(-1, 3),
        st.integers(0, 1),
        st.integers(-1, 40) | st.integers(-(2**64), 2**64 - 1),
        st.lists(st.lists(st.integers(-1, 40), max_size=3), max_size=4) | st.none(),
    )
)


class Shy(Broker):
    """Takes and gives as few bytes as hypothesis says while it is `shy`."""

    def __init__(self, draw: st.DataObject) -> None:
        super().__init__()
        self._draw = draw
        self.shy = True

    def _some(self) -> int:
        return self._draw.draw(st.integers(0, 300)) if self.shy else 4096

    def write(self, buf: bytearray, n: int) -> int:
        self.takes = self._some()
        return super().write(buf, n)

    def readinto(self, buf: bytearray) -> int:
        self.gives = self._some()
        return super().readinto(buf)


@given(st.lists(st.tuples(st.integers(0, 6000), PACKETS), max_size=30))
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_the_client_raise_or_keep_it_from_coming_back(script: list[tuple[int, bytes]]) -> None:
    broker = Broker()
    out = Telemetry(telemetry.client(broker, IDENTITY, 1, lambda: 12_345), IDENTITY, 1, {})
    row = telemetry.row()
    now = 0
    for wait_ms, data in script:
        broker.out.extend(data)
        now += wait_ms
        out.report(now, row, FAULTS, 0)
        out.poll(now)
        out.poll(now)
    assert 0 <= out.pending <= len(script)
    for _ in range(1000):
        now += 100
        out.poll(now)
    assert out.connected


@given(st.data(), st.integers(0, 2**41))
@settings(max_examples=60, deadline=None)
def test_every_sample_arrives_whatever_the_line_does(draw: st.DataObject, start: int) -> None:
    """A cloud that acknowledges what it stored ends with all samples, in whatever order and condition."""
    boot_id = 1 << 32
    broker = Shy(draw)
    out = Telemetry(telemetry.client(broker, IDENTITY, boot_id, lambda: 777), IDENTITY, boot_id, {})
    row = telemetry.row()
    stored: set[int] = set()
    read = 0
    now = start
    steps = draw.draw(
        st.lists(st.sampled_from(["run", "report", "hang", "lose", "ack", "jump"]), max_size=60)
    )
    reported = 0
    for step in [*steps, *["settle"] * 80]:
        now += 12_000 if step == "jump" else 400
        if step == "settle":
            broker.shy = False
            now += 600
        if step == "report":
            row[1] = reported
            assert out.report(now, row, FAULTS, 0) == reported
            reported += 1
        if step == "hang":
            broker.hung_up = True
        if step == "lose":
            broker.out = bytearray()
        for _ in range(4):
            out.poll(now)
            now += 10
        if step in ("ack", "settle") and stored:
            upto = max(stored) + 1
            gaps = [[seq, seq] for seq in range(upto) if seq not in stored]
            if out.connected:
                broker.out.extend(ack(0, boot_id, upto, gaps))
        for topic, payload, _ in broker.messages()[read:]:
            read += 1
            if topic.endswith((b"tele", b"hist")):
                message = cast("dict[int, Any]", cbor.decode(payload))
                for at, sample in enumerate(message[signals.SAMPLES]):
                    assert sample[1] == message[signals.SEQ] + at
                    stored.add(sample[1])
    assert stored == set(range(reported))
    assert out.pending == 0
    assert out.dropped == 0
