"""What a pack says over MQTT: birth, state, tele, cells, evt and re-sends, and the acknowledgements it hears.

Samples go into one `Outbox` a stream; live ones leave first, the history uses what the window has left.
In steady state a sample and a message allocate nothing but integers over 30 bits (device ms after 12 days,
utc_ms always); a new connection (birth) and an incoming `/ack` allocate.
"""

from bms.link import cbor, samples
from bms.link.mqtt import Mqtt
from bms.link.outbox import Outbox
from bms.link.packets import since
from bms.link.samples import MISSING, row
from bms.tables import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable
    from bms.contract import Link
    from bms.memory.identity import Identity
    from bms.sample import Snapshot

__all__ = ("MISSING", "Telemetry", "client", "row")

_EVT = signals.STREAMS.index(signals.EVT)
_TELE = signals.STREAMS.index(signals.TELE)
_CELLS = signals.STREAMS.index(signals.CELLS)
_ORDER = (_EVT, _TELE, _CELLS)
"""Live and history alike: events first."""

_MOST = 8
"""Samples a message, fewer than the 16 below which `N` ends every message as the guard against torn ones."""
_MESSAGE_BYTES = 768
_HEAD_BYTES = 64
"""Most that a message has besides its samples."""
_AGE_MS = 8000
"""A sample sent this long ago and not acknowledged is sent again; doubles while no acknowledgement comes."""
_AGE_MOST_MS = 32_000
_PASS_EVERY_MS = 1000


def client(stream: "Link", identity: "Identity", boot_id: int, random: "Callable[[], int]") -> Mqtt:
    """The pack's MQTT client over the board's stream: named after it, its will on the state topic."""
    will = cbor.encode({signals.BOOT_ID: boot_id, signals.ONLINE: 0})
    name = "%s-%s-%s" % (identity.tenant, identity.site, identity.pack)
    return Mqtt(stream, name, random, (identity.topic("state"), will, True), identity.user, identity.password)


class _Stream:
    def __init__(self, topic: bytes, size: int) -> None:
        self.topic = topic
        self.box = Outbox(size)
        self.first_ms = 0  # device time since which the oldest sample waits to be sent live


class Telemetry:
    """Reports of one pack. birth: what the birth message says besides boot and time, field key -> value.

    tele_bytes, cells_bytes, evt_bytes: store of each stream. flush_ms: the longest that a tele or cells
    sample waits for company. Cells are reported every cells_every_ms, and while connected as soon as one
    moved by cells_step_mv.
    """

    def __init__(
        self,
        mqtt: Mqtt,
        identity: "Identity",
        boot_id: int,
        birth: "dict[int, object]",
        tele_bytes: int = 16_384,
        cells_bytes: int = 4096,
        evt_bytes: int = 4096,
        flush_ms: int = 1000,
        cells_every_ms: int = 5000,
        cells_step_mv: int = 20,
    ) -> None:
        self.mqtt = mqtt
        self.boot_id = boot_id
        self.birth = birth
        self.other: "Callable[[bytes, memoryview], None] | None" = None
        """Called with (topic, payload memoryview) for what is not an acknowledgement."""
        self.acks = 0
        self.bad_acks = 0
        self.foreign_acks = 0
        self._identity = identity
        self._flush_ms = flush_ms
        self._streams = (
            _Stream(identity.topic(signals.TELE), tele_bytes),
            _Stream(identity.topic(signals.CELLS), cells_bytes),
            _Stream(identity.topic(signals.EVT), evt_bytes),
        )
        self._hist_topic = identity.topic("hist")
        self._ack_topic = identity.topic("ack")
        self._boot = cbor.encode(boot_id)
        self._sample = samples.Encoder(cells_every_ms, cells_step_mv)
        self._message = cbor.Encoder(_MESSAGE_BYTES)
        self._window_bytes = _MESSAGE_BYTES + len(self._hist_topic) + 1
        self._utc_offset_ms: "int | None" = None
        self._utc_source = 0
        self._now_ms = 0
        self._connects = 0
        self._birth_due = False
        self._state_due = False
        self._age_ms = _AGE_MS
        self._resting = False
        self._rest_at = 0
        self._resent = False
        mqtt.handler = self._on_message
        mqtt.subscribe(self._ack_topic)

    @property
    def connected(self) -> bool:
        """Whether the broker takes messages."""
        return self.mqtt.connected

    @property
    def pending(self) -> int:
        """Samples kept because no acknowledgement covers them, all streams together."""
        count = 0
        for stream in self._streams:
            count += stream.box.pending
        return count

    @property
    def dropped(self) -> int:
        """Samples since boot that a full store gave up unacknowledged, all streams together."""
        count = 0
        for stream in self._streams:
            count += stream.box.dropped
        return count

    @property
    def next_seq(self) -> int:
        """Seq of the next tele sample."""
        return self._streams[_TELE].box.next_seq

    def box(self, stream: str) -> Outbox:
        """The store of a stream of signals.STREAMS."""
        return self._streams[signals.STREAMS.index(stream)].box

    def announce(self) -> None:
        """Send the birth message again, because `birth` changed."""
        self._birth_due = True

    def set_utc(self, utc_ms: int, source: str, now_ms: int) -> None:
        """UTC at device time now_ms, ms since 1970; source of signals.UTC_SOURCES."""
        self._utc_source = signals.UTC_SOURCES.index(source)
        self._utc_offset_ms = utc_ms - now_ms

    # -- samples ---------------------------------------------------------------------------------

    def report(self, device_ms: int, values: "array[int]", faults: "array[int]", n_faults: int) -> int:
        """Keep a tele sample: a `samples.row` and the ids faults[:n_faults]; returns its seq.

        The row's `dropped` is filled in here.
        """
        values[samples.DROPPED] = self.dropped
        self._sample.tele(device_ms, values, faults, n_faults)
        return self._keep(_TELE, device_ms)

    def event(self, device_ms: int, values: "array[int]", faults: "array[int]", n_faults: int) -> int:
        """Keep an event with its freeze frame: the row also holds fault, raised, value, limit and index."""
        self._sample.event(device_ms, values, faults, n_faults)
        return self._keep(_EVT, device_ms)

    def cells(self, device_ms: int, snapshot: "Snapshot", bled: "bytearray | None" = None) -> bool:
        """Keep a cells sample when one is due; call it once a report. `bled`: bitmap of cells being bled."""
        if not self._sample.cells(device_ms, snapshot, self.mqtt.connected, bled):
            return False
        self._keep(_CELLS, device_ms)
        return True

    def _keep(self, index: int, device_ms: int) -> int:
        stream = self._streams[index]
        if not stream.box.waiting:
            stream.first_ms = device_ms
        return stream.box.append(self._sample.encoder.buf, self._sample.encoder.n)

    # -- sending ---------------------------------------------------------------------------------

    def poll(self, now_ms: int) -> None:
        """Advance the link and send what is due. now_ms: device ms since boot, the clock of the samples."""
        self._now_ms = now_ms
        self.mqtt.poll(now_ms)
        if not self.mqtt.connected:
            return
        if self._connects != self.mqtt.connects:
            self._begin()
        if self._introduce(now_ms):
            for index in _ORDER:
                self._send_live(index, now_ms)
            self._send_history(now_ms)

    def _begin(self) -> None:
        self._connects = self.mqtt.connects
        self._birth_due = self._state_due = True
        self._resting = False
        for index in (_TELE, _CELLS):
            box = self._streams[index].box
            if box.waiting > _MOST:
                box.pass_over()  # what is new is seen at once, what piled up comes as history

    def _introduce(self, now_ms: int) -> bool:
        """Birth and state of a new connection; True when both are on their way."""
        message = self._message
        if self._birth_due and self.mqtt.window(self._window_bytes):
            message.reset()
            message.map(len(self.birth) + 2 + self._n_utc())
            self._head(now_ms)
            for key in self.birth:
                message.integer(key)
                message.value(self.birth[key])
            self._birth_due = not self.mqtt.publish(
                self._identity.topic("birth"), message.buf, message.n, True
            )
        if self._state_due and not self._birth_due and self.mqtt.window(self._window_bytes):
            message.reset()
            message.value({signals.BOOT_ID: self.boot_id, signals.ONLINE: 1})
            self._state_due = not self.mqtt.publish(
                self._identity.topic("state"), message.buf, message.n, True
            )
        return not (self._birth_due or self._state_due)

    def _n_utc(self) -> int:
        return 0 if self._utc_offset_ms is None else 2

    def _head(self, now_ms: int) -> None:
        message = self._message
        message.integer(signals.BOOT_ID)
        message.encoded(self._boot)
        message.integer(signals.NOW_MS)
        message.integer(now_ms)
        if self._utc_offset_ms is not None:
            message.integer(signals.UTC_MS)
            message.integer(self._utc_offset_ms + now_ms)
            message.integer(signals.UTC_SOURCE)
            message.integer(self._utc_source)

    def _send_live(self, index: int, now_ms: int) -> None:
        stream = self._streams[index]
        waiting = stream.box.waiting
        if not waiting or not self.mqtt.window(self._window_bytes):
            return
        if waiting < _MOST and index != _EVT and now_ms - stream.first_ms < self._flush_ms:
            return
        if stream.box.pick_live(_MOST, _MESSAGE_BYTES - _HEAD_BYTES, now_ms):
            self._send(stream.box, stream.topic, -1, now_ms)

    def _send_history(self, now_ms: int) -> None:
        if self._resting:
            if since(now_ms, self._rest_at) < _PASS_EVERY_MS:
                return
            self._resting = False
            for stream in self._streams:
                stream.box.rewind()
        for index in _ORDER:
            box = self._streams[index].box
            if not box.pending:
                continue
            if self.mqtt.window(self._window_bytes) < 2:
                return  # the last place is for what is live
            if box.pick_hist(_MOST, _MESSAGE_BYTES - _HEAD_BYTES, now_ms, self._age_ms):
                self._resent = True
                self._send(box, self._hist_topic, index, now_ms)
                return
        if self._resent:
            self._age_ms = min(2 * self._age_ms, _AGE_MOST_MS)
        self._resent = False
        self._resting = True
        self._rest_at = now_ms

    def _send(self, box: Outbox, topic: bytes, history_of: int, now_ms: int) -> None:
        message = self._message
        message.reset()
        message.map(5 + self._n_utc() + (history_of >= 0))
        self._head(now_ms)
        if history_of >= 0:
            message.integer(signals.STREAM)
            message.integer(history_of)
        message.integer(signals.SEQ)
        message.integer(box.seq)
        message.integer(signals.SAMPLES)
        message.array(box.n)
        box.gather(message.buf, message.reserve(box.n_bytes))
        # N comes last: on a line without hang-up a message torn by a reset is filled up with the next
        # CONNECT, whose first byte reads as 16 and never as this count
        message.integer(signals.N)
        message.integer(box.n)
        if self.mqtt.publish(topic, message.buf, message.n):
            box.sent(now_ms)

    # -- acknowledgements ------------------------------------------------------------------------

    def _on_message(self, topic: bytes, payload: memoryview) -> None:
        if topic == self._ack_topic:
            self._on_ack(payload)
        elif self.other is not None:
            self.other(topic, payload)

    def _on_ack(self, payload: memoryview) -> None:
        try:
            found = cbor.decode(payload)
        except (cbor.DecodeError, MemoryError):
            found = None
        if not isinstance(found, dict):
            self.bad_acks += 1
            return
        body: "dict[object, object]" = found  # pyright: ignore[reportUnknownVariableType]  isinstance leaves members open
        if body.get(signals.BOOT_ID) != self.boot_id:
            self.foreign_acks += 1
            return
        index = body.get(signals.STREAM)
        upto = body.get(signals.UPTO)
        gaps = _pairs(body.get(signals.GAPS, []))
        if (
            type(index) is not int
            or not 0 <= index < len(self._streams)
            or type(upto) is not int
            or gaps is None
            or not self._streams[index].box.ack(upto, gaps, self._now_ms)
        ):
            self.bad_acks += 1
            return
        self.acks += 1
        self._age_ms = _AGE_MS
        if gaps:
            self._resting = False


def _pairs(found: object) -> "list[list[int]] | None":
    if not isinstance(found, list):
        return None
    entries: "list[object]" = found  # pyright: ignore[reportUnknownVariableType]  isinstance leaves members open
    for entry in entries:
        if not isinstance(entry, list):
            return None
        pair: "list[object]" = entry  # pyright: ignore[reportUnknownVariableType]  isinstance leaves members open
        if len(pair) != 2 or type(pair[0]) is not int or type(pair[1]) is not int:
            return None
    pairs: "list[list[int]]" = found  # pyright: ignore[reportUnknownVariableType]  isinstance leaves members open
    return pairs
