"""MQTT 3.1.1 on the wire: packets to send in one buffer, packets received in another, nothing allocated.

`Sender` and `Receiver` know bytes and lengths, not what a packet means: that is `mqtt`.
"""

import micropython
from array import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Link

PUBLISH = 3
PUBACK = 4
SUBACK = 9
PINGRESP = 13
PINGREQ = b"\xc0\x00"
NEVER_FROM_SERVER = (0, 1, 8, 10, 12, 14, 15)
"""Packet types that no server sends."""

WINDOW = 4
"""QoS 1 publishes in flight."""
_MASK = 0x3FFFFFFF
"""Milliseconds are compared modulo 2^30, where MicroPython's ticks_ms wraps and small ints end."""

_HEAD = 0
_LENGTH = 1
_BODY = 2


def since(now_ms: int, then_ms: int) -> int:
    """Milliseconds from `then_ms` to `now_ms` modulo 2^30."""
    return (now_ms - then_ms) & _MASK


@micropython.viper
def copy(dst: ptr8, at: int, src: ptr8, first: int, n: int):
    """dst[at:at+n] = src[first:first+n] without allocating; moving down within one buffer works."""
    i = 0
    while i < n:
        dst[at + i] = src[first + i]
        i += 1


def _packet(head: int, body: bytes) -> bytes:
    out = bytearray((head,))
    n = len(body)
    while True:
        out.append(n & 127 | (128 if n > 127 else 0))
        n >>= 7
        if not n:
            return bytes(out) + body


def _field(value: "str | bytes") -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    if len(raw) > 0xFFFF:
        raise ValueError("MQTT: a field of %d bytes, at most 65535 fit" % len(raw))
    return bytes((len(raw) >> 8, len(raw) & 255)) + raw


def connect(
    client_id: str,
    will: "tuple[bytes, bytes, bool] | None",
    user: "str | None",
    password: "str | None",
    keep_alive_s: int,
) -> bytes:
    """A CONNECT with a clean session; the will goes out with QoS 1. Raises ValueError."""
    if not client_id:
        raise ValueError("MQTT: the client id is empty; each client needs its own name")
    if password is not None and user is None:
        raise ValueError("MQTT: a password without a user; 3.1.1 wants both")
    if not 0 < keep_alive_s <= 0xFFFF:
        raise ValueError("MQTT: keep_alive_s is %d, it must be 1..65535" % keep_alive_s)
    flags = 0x02
    tail = _field(client_id)
    if will is not None:
        flags |= 0x2C if will[2] else 0x0C
        tail += _field(will[0]) + _field(will[1])
    if user is not None:
        flags |= 0x80
        tail += _field(user)
    if password is not None:
        flags |= 0x40
        tail += _field(password)
    head = b"\x00\x04MQTT\x04" + bytes((flags, keep_alive_s >> 8, keep_alive_s & 255))
    return _packet(0x10, head + tail)


def subscribe(packet_id: int, topics: "list[bytes]") -> bytes:
    """A SUBSCRIBE of all topics with QoS 1."""
    body = bytes((packet_id >> 8, packet_id & 255))
    for topic in topics:
        body += _field(topic) + b"\x01"
    return _packet(0x82, body)


class Window:
    """Packet ids in flight, at most WINDOW, each with the time it was sent; `n` of them wait for a PUBACK."""

    def __init__(self) -> None:
        self.n = 0
        self.last = 0  # packet id given last
        self._ids = array("H", [0] * WINDOW)
        self._sent_at = array("i", [0] * WINDOW)

    def reset(self) -> None:
        """A new connection: nothing is in flight."""
        self.n = 0
        for slot in range(WINDOW):
            self._ids[slot] = 0

    def _find(self, packet_id: int) -> int:
        slot = 0
        while slot < WINDOW and self._ids[slot] != packet_id:
            slot += 1
        return slot

    def next_id(self) -> int:
        """The next id of 1..65535 that is not in flight."""
        while True:
            self.last = self.last % 0xFFFF + 1
            if self._find(self.last) == WINDOW:
                return self.last

    def take(self, now_ms: int) -> int:
        """Put the next id in flight and return it; the caller has looked that n < WINDOW."""
        packet_id = self.next_id()
        slot = self._find(0)
        self._ids[slot] = packet_id
        self._sent_at[slot] = now_ms
        self.n += 1
        return packet_id

    def release(self, packet_id: int) -> bool:
        """A PUBACK came; False when that id is not in flight."""
        slot = self._find(packet_id)
        if not packet_id or slot == WINDOW:
            return False
        self._ids[slot] = 0
        self.n -= 1
        return True

    def overdue(self, now_ms: int, deadline_ms: int) -> bool:
        """Whether one of them has waited longer than the deadline."""
        if self.n:
            for slot in range(WINDOW):
                if self._ids[slot] and since(now_ms, self._sent_at[slot]) > deadline_ms:
                    return True
        return False


class Sender:
    """Bytes on their way out, in order, in one buffer; `n` of them wait."""

    def __init__(self, size: int) -> None:
        self.buf = bytearray(size)
        self.n = 0

    def room(self) -> int:
        """Bytes that still fit."""
        return len(self.buf) - self.n

    def put(self, data: "bytes | bytearray", n: int) -> None:
        """Append data[:n]; the caller has looked for room."""
        copy(self.buf, self.n, data, 0, n)
        self.n += n

    def put_u16(self, value: int) -> None:
        """Append two bytes, big endian."""
        at = self.n
        self.buf[at] = value >> 8
        self.buf[at + 1] = value & 255
        self.n = at + 2

    def publish(
        self, topic: bytes, packet_id: int, payload: "bytes | bytearray", n: int, retain: bool
    ) -> None:
        """Append a QoS 1 PUBLISH of payload[:n]; takes up to `publish_size(len(topic) + n)` bytes."""
        size = len(topic) + n + 4
        at = self.n
        self.buf[at] = 0x33 if retain else 0x32
        while size > 127:
            at += 1
            self.buf[at] = size & 127 | 128
            size >>= 7
        self.buf[at + 1] = size
        self.n = at + 2
        self.put_u16(len(topic))
        self.put(topic, len(topic))
        self.put_u16(packet_id)
        self.put(payload, n)

    def puback(self, packet_id: int) -> None:
        """Append a PUBACK, four bytes."""
        self.put_u16(0x4002)
        self.put_u16(packet_id)

    def flush(self, stream: "Link") -> int:
        """Offer what waits to the stream; returns how many bytes it took, -1 when it is closed."""
        n = self.n
        taken = stream.write(self.buf, n)
        if taken > 0:
            n -= taken
            copy(self.buf, 0, self.buf, taken, n)
            self.n = n
        return taken


def publish_size(n: int) -> int:
    """Most bytes that a PUBLISH with n bytes of topic and payload takes."""
    return n + 9


class Receiver:
    """Cuts a byte stream into packets. A body longer than `body` is cut off there and read to its end."""

    def __init__(self, size: int) -> None:
        self.body = bytearray(size)
        self.view = memoryview(self.body)
        self.head = 0
        self.size = 0
        """Length of the body as announced."""
        self.complete = False
        self.bad = False
        self._phase = _HEAD
        self._shift = 0
        self._got = 0
        self._seen = 0

    def reset(self) -> None:
        """A new connection: forget a packet in progress."""
        self._phase = _HEAD
        self._seen = 0
        self.complete = self.bad = False

    def feed(self, src: bytearray, at: int, n: int) -> int:
        """Consume src[at:n] up to the end of one packet; returns the new `at`.

        `complete` then says whether a packet (`head`, `size`, `body`) ended there, `bad` that its length was
        malformed, after which only `reset` helps.
        """
        self.complete = False
        while at < n:
            if self._phase == _BODY:
                take = min(n - at, self.size - self._got)
                keep = min(take, len(self.body) - self._got)
                if keep > 0:
                    copy(self.body, self._got, src, at, keep)
                self._got += take
                at += take
            elif self._phase == _HEAD:
                self.head = src[at]
                self.size = self._shift = self._got = 0
                self._phase = _LENGTH
                at += 1
                continue
            else:
                self._length(src[at])
                at += 1
            if self.bad:
                return n
            if self._phase == _BODY and self._got == self.size:
                self._phase = _HEAD
                self.complete = True
                return at
        return at

    def _length(self, byte: int) -> None:
        self.size |= (byte & 127) << self._shift
        self._shift += 7
        if byte < 128:
            self._phase = _BODY
        elif self._shift == 28:
            self.bad = True

    def u16(self, at: int) -> int:
        """Two bytes of the body, big endian."""
        return self.body[at] << 8 | self.body[at + 1]

    def find_connack(self, src: bytearray, n: int) -> int:
        """Look for a CONNACK in src[:n] whatever else comes; returns where the rest begins, or -1.

        Its return code is then in `head`. What is no CONNACK is passed over.
        """
        seen = self._seen
        for at in range(n):
            byte = src[at]
            if seen == 3 and byte <= 5:
                self.head = byte
                self._seen = 0
                return at + 1
            if (seen == 2 and byte <= 1) or (seen == 1 and byte == 2):
                seen += 1
            else:
                seen = 1 if byte == 0x20 else 0
        self._seen = seen
        return -1
