"""CBOR (RFC 8949), the part the device needs: integers, byte and text strings, arrays, maps, bool, null.

`Encoder` writes into one preallocated buffer and allocates nothing; `decode` builds Python objects.
"""


class EncodeError(ValueError):
    """The encoder's buffer is too small (the message says what would be needed) or a number too large."""


class DecodeError(ValueError):
    """The bytes are not the CBOR that we speak; the message names the offset and what was found."""


class Encoder:
    """Writes items one after another into `buf`; `n` is the number of bytes written."""

    def __init__(self, size: int) -> None:
        self.buf = bytearray(size)
        self.n = 0

    def reset(self) -> None:
        """Start again at the beginning of the buffer."""
        self.n = 0

    def reserve(self, count: int) -> int:
        """Room for `count` bytes that the caller fills in; returns where in `buf` they begin."""
        at = self.n
        if at + count > len(self.buf):
            raise EncodeError("CBOR buffer of %d bytes needs at least %d" % (len(self.buf), at + count))
        self.n = at + count
        return at

    def _head(self, major: int, value: int) -> None:
        buf = self.buf
        if value < 24:
            buf[self.reserve(1)] = major | value
            return
        width = 1 if value < 0x100 else 2 if value < 0x10000 else 4 if value >> 16 < 0x10000 else 8
        if width == 8 and value >> 64:
            raise EncodeError("CBOR: %d does not fit into 64 bits" % (value if major == 0 else -1 - value))
        at = self.reserve(1 + width)
        buf[at] = major | (24 if width == 1 else 25 if width == 2 else 26 if width == 4 else 27)
        at += width
        while width:
            buf[at] = value & 0xFF
            value >>= 8
            at -= 1
            width -= 1

    def integer(self, value: int) -> None:
        """An integer of -2^64 .. 2^64 - 1; raises EncodeError beyond."""
        if value >= 0:
            self._head(0x00, value)
        else:
            self._head(0x20, -1 - value)

    def array(self, count: int) -> None:
        """Head of an array; `count` items follow."""
        self._head(0x80, count)

    def map(self, count: int) -> None:
        """Head of a map; `count` key and value pairs follow."""
        self._head(0xA0, count)

    def text(self, value: str) -> None:
        """A text string."""
        self._string(0x60, value.encode())

    def bytes(self, value: "bytes | bytearray") -> None:
        """A byte string."""
        self._string(0x40, value)

    def _string(self, major: int, value: "bytes | bytearray") -> None:
        self._head(major, len(value))
        at = self.reserve(len(value))
        self.buf[at : at + len(value)] = value

    def encoded(self, data: "bytes | bytearray") -> None:
        """Items that are encoded already."""
        at = self.reserve(len(data))
        for byte in data:  # assigning a slice would allocate it
            self.buf[at] = byte
            at += 1

    def value(self, item: object) -> None:
        """Any object that `decode` can give back."""
        if item is None:
            self.buf[self.reserve(1)] = 0xF6
        elif isinstance(item, bool):
            self.buf[self.reserve(1)] = 0xF5 if item else 0xF4
        elif isinstance(item, int):
            self.integer(item)
        elif isinstance(item, str):
            self.text(item)
        elif isinstance(item, (bytes, bytearray)):
            self.bytes(item)
        elif isinstance(item, (list, tuple)):
            entries: "list[object] | tuple[object, ...]" = item  # pyright: ignore[reportUnknownVariableType]  isinstance leaves members open
            self.array(len(entries))
            for entry in entries:
                self.value(entry)
        elif isinstance(item, dict):
            table: "dict[object, object]" = item  # pyright: ignore[reportUnknownVariableType]  isinstance leaves members open
            self.map(len(table))
            for key in table:
                self.value(key)
                self.value(table[key])
        else:
            raise TypeError("CBOR: cannot encode %s" % type(item).__name__)

    def take(self) -> "bytes":
        """What was written, as a copy."""
        return bytes(memoryview(self.buf)[: self.n])


def encode(item: object, size: int = 512) -> "bytes":
    """One item as bytes; `size` bounds the result."""
    encoder = Encoder(size)
    encoder.value(item)
    return encoder.take()


_MAX_DEPTH = 8


class _Decoder:
    def __init__(self, data: "bytes | bytearray | memoryview") -> None:
        self.data = data
        self.at = 0

    def _take(self, count: int) -> int:
        at = self.at
        if count > len(self.data) - at:
            raise DecodeError(
                "CBOR: offset %d needs %d bytes, %d are left" % (at, count, len(self.data) - at)
            )
        self.at = at + count
        return at

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise DecodeError("CBOR: offset %d has additional information %d" % (self.at - 1, info))
        value = 0
        width = 1 << (info - 24)
        at = self._take(width)
        for i in range(at, at + width):
            value = value << 8 | self.data[i]
        return value

    def item(self, depth: int) -> object:
        if depth > _MAX_DEPTH:
            raise DecodeError("CBOR: nested deeper than %d at offset %d" % (_MAX_DEPTH, self.at))
        initial = self.data[self._take(1)]
        major = initial >> 5
        info = initial & 31
        if major == 7:
            return self._simple(info)
        value = self._argument(info)
        if major == 0:
            return value
        if major == 1:
            return -1 - value
        if major == 2 or major == 3:
            return self._string(major, value)
        if major == 6:
            raise DecodeError("CBOR: offset %d has a tag" % (self.at - 1))
        # each item takes at least one byte: a count beyond that is a lie, refused before any list is built
        if value * (1 if major == 4 else 2) > len(self.data) - self.at:
            raise DecodeError("CBOR: offset %d claims %d items" % (self.at, value))
        if major == 4:
            return [self.item(depth + 1) for _ in range(value)]
        return self._map(value, depth)

    def _string(self, major: int, count: int) -> object:
        at = self._take(count)
        raw = bytes(memoryview(self.data)[at : at + count])
        if major == 2:
            return raw
        try:
            return str(raw, "utf-8")
        except UnicodeError:
            raise DecodeError("CBOR: offset %d has text that is not UTF-8" % at)

    def _map(self, count: int, depth: int) -> "dict[object, object]":
        result: "dict[object, object]" = {}
        for _ in range(count):
            at = self.at
            key = self.item(depth + 1)
            if isinstance(key, (list, dict)) or key in result:
                raise DecodeError("CBOR: offset %d has a key that is a container or comes twice" % at)
            result[key] = self.item(depth + 1)
        return result

    def _simple(self, info: int) -> object:
        if info == 20:
            return False
        if info == 21:
            return True
        if info == 22:
            return None
        raise DecodeError("CBOR: offset %d has simple value or float %d" % (self.at - 1, info))


def decode(data: "bytes | bytearray | memoryview") -> object:
    """The one item in `data`. Raises DecodeError for anything else, trailing bytes included."""
    decoder = _Decoder(data)
    item = decoder.item(0)
    if decoder.at != len(data):
        raise DecodeError("CBOR: %d bytes after the item" % (len(data) - decoder.at))
    return item
