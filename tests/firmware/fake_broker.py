"""A broker at the other end of a byte stream, in memory, that can be as awkward as a test wants."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def packet(head: int, body: bytes) -> bytes:
    """An MQTT packet."""
    out = bytearray((head,))
    n = len(body)
    while True:
        out.append(n & 127 | (128 if n > 127 else 0))
        n >>= 7
        if not n:
            return bytes(out) + body


def publish(topic: bytes, payload: bytes, packet_id: int = 0) -> bytes:
    """A PUBLISH, QoS 1 when it has a packet id."""
    ident = bytes((packet_id >> 8, packet_id & 255)) if packet_id else b""
    body = bytes((len(topic) >> 8, len(topic) & 255)) + topic + ident + payload
    return packet(0x32 if packet_id else 0x30, body)


class Broker:
    """Stream and broker in one. Knobs are plain attributes; `heard` keeps (packet type, retain, body)."""

    def __init__(self) -> None:
        self.reachable = True
        self.takes = 4096  # bytes a write takes
        self.gives = 4096  # bytes a read gives
        self.hung_up = False
        self.answers = {1: True, 8: True, 3: True, 12: True}  # CONNECT, SUBSCRIBE, PUBLISH, PINGREQ
        self.connack = b"\x20\x02\x00\x00"
        self.suback_codes = b"\x01"
        self.before_connack = b""
        self.keep = True
        self.heard: "list[tuple[int, int, bytes]]" = []
        self.counts = [0] * 16
        self.opens = 0
        self.closes = 0
        self._in = bytearray()
        self.out = bytearray()
        self.seen_id: "Callable[[int], None] | None" = None
        """Called with each packet id."""

    def open(self) -> bool:
        self.opens += 1
        if self.reachable:
            self.hung_up = False
            self._in = bytearray()
            self.out = bytearray(self.before_connack)
        return self.reachable

    def close(self) -> None:
        self.closes += 1

    def readinto(self, buf: bytearray) -> int:
        if self.hung_up:
            return -1
        n = min(len(self.out), self.gives, len(buf))
        buf[:n] = self.out[:n]
        self.out = self.out[n:]
        return n

    def write(self, buf: bytearray, n: int) -> int:
        if self.hung_up:
            return -1
        n = min(n, self.takes)
        self._in.extend(memoryview(buf)[:n])
        self._parse()
        return n

    def last(self, kind: int) -> bytes:
        """Body of the latest packet of that type."""
        return [body for k, _, body in self.heard if k == kind][-1]

    def messages(self) -> "list[tuple[bytes, bytes, int]]":
        """(topic, payload, retain) of every PUBLISH."""
        found: "list[tuple[bytes, bytes, int]]" = []
        for kind, retain, body in self.heard:
            if kind == 3:
                n = body[0] << 8 | body[1]
                found.append((body[2 : 2 + n], body[4 + n :], retain))
        return found

    def _parse(self) -> None:
        while len(self._in) > 1:
            size = shift = 0
            at = 1
            while True:
                if at == len(self._in):
                    return
                byte = self._in[at]
                size |= (byte & 127) << shift
                shift += 7
                at += 1
                if byte < 128:
                    break
            if at + size > len(self._in):
                return
            head = self._in[0]
            body = bytes(self._in[at : at + size])
            self._in = self._in[at + size :]
            self._hear(head, body)

    def _hear(self, head: int, body: bytes) -> None:
        kind = head >> 4
        self.counts[kind] += 1
        if self.keep:
            self.heard.append((kind, head & 1, body))
        if kind == 3:
            n = 2 + (body[0] << 8 | body[1])
            if self.seen_id:
                self.seen_id(body[n] << 8 | body[n + 1])
            answer = b"\x40\x02" + body[n : n + 2]
        elif kind == 1:
            answer = self.connack
        elif kind == 8:
            answer = packet(0x90, body[:2] + self.suback_codes)
        elif kind == 12:
            answer = b"\xd0\x00"
        else:
            return
        if self.answers[kind]:
            self.out.extend(answer)
