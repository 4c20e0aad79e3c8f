"""Look a host name up without ever blocking: MicroPython's own look-up stops everything for seconds."""

import errno
import os
import socket
import time

_RESEND_MS = 2000
_TYPE_A = 1
_CLASS_IN = 1


def is_address(host: str) -> bool:
    """True for a dotted IPv4 address, which needs no look-up."""
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def query(name: str, number: int) -> bytes:
    """A DNS query (RFC 1035) for the IPv4 address of `name`; ValueError when it is no host name."""
    packet = bytearray((number >> 8, number & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    for label in name.split("."):
        raw = label.encode()
        if not 1 <= len(raw) <= 63:
            raise ValueError("broker host %r is not a host name" % name)
        packet.append(len(raw))
        packet.extend(raw)
    packet.extend(bytes((0, 0, _TYPE_A, 0, _CLASS_IN)))
    return bytes(packet)


def _after_name(data: bytes, at: int) -> int:
    while data[at]:
        if data[at] & 0xC0:
            return at + 2
        at += 1 + data[at]
    return at + 1


def answer(data: bytes, number: int) -> "str | None":
    """The first IPv4 address in a response to query `number`; None when it is not for us.

    OSError when the server says that there is none; IndexError when the packet is cut short.
    """
    if len(data) < 12 or data[0] << 8 | data[1] != number or not data[2] & 0x80:
        return None
    at = 12
    for _ in range(data[4] << 8 | data[5]):
        at = _after_name(data, at) + 4
    for _ in range(data[6] << 8 | data[7]):
        at = _after_name(data, at)
        length = data[at + 8] << 8 | data[at + 9]
        if (data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3], length) == (
            _TYPE_A,
            _CLASS_IN,
            4,
        ):
            return "%d.%d.%d.%d" % (data[at + 10], data[at + 11], data[at + 12], data[at + 13])
        at += 10 + length
    raise OSError("no address (DNS code %d)" % (data[3] & 15))


class Lookup:
    """One look-up under way at DNS server `server`."""

    def __init__(self, name: str, server: str, port: int = 53) -> None:
        self._name = name
        self._number = os.urandom(1)[0] << 8 | os.urandom(1)[0]
        self._query = query(name, self._number)
        self._server = socket.getaddrinfo(server, port)[0][-1]
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._send()

    def _send(self) -> None:
        self._sent_ms = time.ticks_ms()
        self._sock.sendto(self._query, self._server)

    def poll(self) -> "str | None":
        """The address, None as long as there is no answer; OSError naming the host when there is none."""
        try:
            found = answer(self._sock.recv(512), self._number)
        except IndexError:
            found = None
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise OSError("broker host %s: %s" % (self._name, error))
            found = None
        if found is None and time.ticks_diff(time.ticks_ms(), self._sent_ms) > _RESEND_MS:
            self._send()
        return found

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()
