"""MQTT 3.1.1 client that control never notices: poll-driven, never blocks, never sleeps.

Every exchange has a deadline; the answer to any trouble is a new connection after a back-off with jitter.
Nothing is re-sent here and sessions are clean: what must not be lost waits in `outbox` until the cloud
acknowledges it, so a PUBACK only frees a place in the window.

Before the CONNACK nothing is parsed: a UART to the broker has no hang-up, so an older session's bytes, torn
packets included, may still arrive; the client looks for the CONNACK itself in whatever comes.

In steady state (publishing, keeping alive) nothing here allocates. Connecting does, and so does an incoming
PUBLISH (topic as bytes, payload as a memoryview).
"""

from bms.link import packets
from bms.link.packets import WINDOW, since

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from bms.contract import Link

_MASK = 0x3FFFFFFF
_IN_BYTES = 256
_READS = 4
_RESERVE = _IN_BYTES + 16
"""Room in the transmit buffer that publish leaves: PUBACKs for one full read, and a PINGREQ."""
_OPEN_EVERY_MS = 50
_BACK_OFF_MS = 1000
_BACK_OFF_MOST_MS = 16_000
_WAIT_MOST_MS = 30_000

_IDLE = 0
_OPENING = 1
_CONNECTING = 2
_SUBSCRIBING = 3
_UP = 4


class Mqtt:
    """One client over one byte stream. Call `poll` often; each call does a bounded amount of work.

    stream: see contract.Link; an OSError from it counts as a lost link.
    random: callable without arguments, an unsigned integer of at least 16 random bits (jitter).
    will: (topic, payload, retain), QoS 1. `handler` is called with (topic bytes, payload memoryview); the
    payload is valid during the call only.
    """

    def __init__(
        self,
        stream: "Link",
        client_id: str,
        random: "Callable[[], int]",
        will: "tuple[bytes, bytes, bool] | None" = None,
        user: "str | None" = None,
        password: "str | None" = None,
        keep_alive_s: int = 10,
        deadline_ms: int = 5000,
        rx_bytes: int = 1024,
        tx_bytes: int = 2048,
    ) -> None:
        self._connect = packets.connect(client_id, will, user, password, keep_alive_s)
        if len(self._connect) + _RESERVE > tx_bytes:
            raise ValueError(
                "MQTT: tx_bytes is %d, CONNECT needs %d" % (tx_bytes, len(self._connect) + _RESERVE)
            )
        self.stream = stream
        self.handler: "Callable[[bytes, memoryview], None] | None" = None
        self._random = random
        self._topics: "list[bytes]" = []
        self._keep_ms = keep_alive_s * 1000
        self._deadline_ms = deadline_ms
        self._tx = packets.Sender(tx_bytes)
        self._rx = packets.Receiver(rx_bytes)
        self._in = bytearray(_IN_BYTES)
        self._state = _IDLE
        self._now = 0
        self._state_at = 0  # when the present state began
        self._open_at = 0
        self._wait_ms = 0
        self._step_ms = _BACK_OFF_MS
        self.in_flight = packets.Window()
        self._subscribe_id = 0
        self._pinging = False
        self._ping_at = 0
        self._heard_at = 0
        self._spoke_at = 0
        # counters since boot
        self.connects = 0
        self.failures = 0
        self.timeouts = 0
        self.refused = 0
        self.malformed = 0
        self.skipped = 0
        self.oversized = 0
        self.published = 0
        self.acknowledged = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.why = "not connected yet"
        """Why the link went down last."""

    @property
    def connected(self) -> bool:
        """Whether CONNACK and SUBACK have come and `publish` is open."""
        return self._state == _UP

    def subscribe(self, topic: bytes) -> None:
        """Subscribe with QoS 1 at each connect from the next one on. Raises ValueError for too many."""
        self._topics.append(topic)
        if len(packets.subscribe(1, self._topics)) + len(self._connect) > len(self._tx.buf):
            raise ValueError("MQTT: %d subscriptions do not fit into tx_bytes" % len(self._topics))

    def window(self, n: int) -> int:
        """Free places in the window, 0 when n bytes of topic and payload do not fit now."""
        if self._state != _UP or packets.publish_size(n) + _RESERVE > self._tx.room():
            return 0
        return WINDOW - self.in_flight.n

    def publish(self, topic: bytes, payload: "bytes | bytearray", n: int, retain: bool = False) -> bool:
        """Send payload[:n] with QoS 1; False (nothing taken) when not connected or the window is full.

        Raises ValueError when the message could never fit into the transmit buffer.
        """
        size = packets.publish_size(len(topic) + n) + _RESERVE
        if size > len(self._tx.buf):
            raise ValueError("MQTT: tx_bytes is %d, this message needs %d" % (len(self._tx.buf), size))
        if not self.window(len(topic) + n):
            return False
        self._say()
        self._tx.publish(topic, self.in_flight.take(self._now), payload, n, retain)
        self.published += 1
        return True

    def poll(self, now_ms: int) -> None:
        """Advance everything. now_ms: any clock that only moves forward, also one that wraps at 2^30."""
        now = now_ms & _MASK
        self._now = now
        try:
            if self._state == _IDLE and since(now, self._state_at) >= self._wait_ms:
                self._open_at = now - _OPEN_EVERY_MS
                self._enter(_OPENING)
            if self._state == _OPENING:
                self._open(now)
            if self._state >= _CONNECTING:
                self._read()
            if self._state >= _CONNECTING:
                self._watch(now)
            if self._state >= _CONNECTING and self._tx.n:
                self._flush()
        except OSError:
            self._fail("stream error")

    def _enter(self, state: int) -> None:
        self._state = state
        self._state_at = self._now

    def _fail(self, why: str) -> None:
        self.why = why
        self.failures += 1
        if self._state == _UP and since(self._now, self._state_at) >= self._keep_ms:
            self._step_ms = _BACK_OFF_MS  # it held for a while: begin again from a short wait
        # jitter keeps a fleet from coming back in step: 1 s + 0..1 s, then twice that, up to 30 s
        self._wait_ms = min(self._step_ms + self._random() % self._step_ms, _WAIT_MOST_MS)
        self._step_ms = min(self._step_ms * 2, _BACK_OFF_MOST_MS)
        self._enter(_IDLE)
        try:
            self.stream.close()
        except OSError:
            pass  # it is gone, which is what we want

    def _timeout(self, why: str) -> None:
        self.timeouts += 1
        self._fail(why)

    def _garbled(self) -> None:
        self.malformed += 1
        self._fail("malformed packet")

    def _open(self, now: int) -> None:
        if since(now, self._open_at) < _OPEN_EVERY_MS:
            return
        self._open_at = now
        if not self.stream.open():
            if since(now, self._state_at) > self._deadline_ms:
                self._timeout("no link to the broker")
            return
        self.in_flight.reset()
        self._pinging = False
        self._rx.reset()
        self._tx.n = 0
        self._say()
        self._tx.put(self._connect, len(self._connect))
        self._heard_at = now
        self._enter(_CONNECTING)

    def _say(self) -> None:
        # before anything is put: the deadline of the link's progress begins when the first byte waits
        if not self._tx.n:
            self._spoke_at = self._now

    def _flush(self) -> None:
        taken = self._tx.flush(self.stream)
        if taken < 0:
            self._fail("link closed")
        elif taken:
            self.bytes_out += taken
            self._spoke_at = self._now

    def _watch(self, now: int) -> None:
        deadline = self._deadline_ms
        if self._tx.n and since(now, self._spoke_at) > deadline:
            self._timeout("link takes no bytes")
        elif self._state == _CONNECTING:
            if since(now, self._state_at) > deadline:
                self._timeout("no CONNACK")
        elif self._state == _SUBSCRIBING:
            if since(now, self._state_at) > deadline:
                self._timeout("no SUBACK")
        elif self.in_flight.overdue(now, deadline):
            self._timeout("no PUBACK")
        elif self._pinging:
            if since(now, self._ping_at) > deadline:
                self._timeout("no PINGRESP")
        else:
            self._keep_alive(now)

    def _keep_alive(self, now: int) -> None:
        half = self._keep_ms >> 1
        if (since(now, self._spoke_at) >= half or since(now, self._heard_at) >= half) and self._tx.room() > 1:
            self._say()
            self._tx.put(packets.PINGREQ, 2)
            self._pinging = True
            self._ping_at = now

    def _read(self) -> None:
        rx = self._rx
        for _ in range(_READS):
            if self._tx.room() < _IN_BYTES:
                return  # what comes in may have to be answered
            n = self.stream.readinto(self._in)
            if n < 0:
                self._fail("link closed")
            if n <= 0:
                return
            self.bytes_in += n
            at = 0
            if self._state == _CONNECTING:
                at = rx.find_connack(self._in, n)
                if at < 0:
                    self.skipped += 1
                    continue
                self._on_connack(rx.head)
            while at < n and self._state >= _SUBSCRIBING:
                at = rx.feed(self._in, at, n)
                if rx.complete:
                    self._heard_at = self._now
                    self._on_packet(rx.head >> 4)
                elif rx.bad:
                    self._garbled()
            if self._state == _IDLE:
                return

    def _on_connack(self, code: int) -> None:
        if code:
            self.refused += 1
            self._fail("CONNECT refused, code %d" % code)
        elif self._topics:
            self._subscribe_id = self.in_flight.next_id()
            packet = packets.subscribe(self._subscribe_id, self._topics)
            self._say()
            self._tx.put(packet, len(packet))
            self._enter(_SUBSCRIBING)
        else:
            self._up()

    def _up(self) -> None:
        self.connects += 1
        self._enter(_UP)

    def _on_packet(self, kind: int) -> None:
        if kind == packets.PUBLISH:
            self._on_publish()
        elif kind == packets.PUBACK:
            self._on_puback()
        elif kind == packets.SUBACK:
            self._on_suback()
        elif kind == packets.PINGRESP:
            self._pinging = False
        elif kind in packets.NEVER_FROM_SERVER:
            self._garbled()
        else:
            self.skipped += 1

    def _on_puback(self) -> None:
        if self._rx.size != 2:
            self._garbled()
            return
        if self.in_flight.release(self._rx.u16(0)):
            self.acknowledged += 1
        else:
            self.skipped += 1

    def _on_suback(self) -> None:
        rx = self._rx
        if rx.size != 2 + len(self._topics):
            self._garbled()
        elif self._state != _SUBSCRIBING or rx.u16(0) != self._subscribe_id:
            self.skipped += 1
        else:
            for at in range(2, rx.size):
                if rx.body[at] > 2:
                    self.refused += 1
                    self._fail("SUBSCRIBE refused")
                    return
            self._up()

    def _on_publish(self) -> None:
        rx = self._rx
        qos = rx.head >> 1 & 3
        end = 2 + rx.u16(0)
        at = end + 2 if qos else end
        if at > rx.size or qos > 1 or end == 2:
            self._garbled()
            return
        packet_id = rx.u16(end) if qos and at <= len(rx.body) else 0
        if packet_id:
            self._say()
            self._tx.puback(packet_id)
        if rx.size > len(rx.body):
            self.oversized += 1
        elif self.handler is not None:
            self.handler(bytes(rx.view[2:end]), rx.view[at : rx.size])
