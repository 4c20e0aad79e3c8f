"""The byte stream to the broker over the board's network: TCP or TLS, never blocking.

`network.json` in the device's root says where; nothing in it has a default but the port and TLS:

    {"wifi": {"ssid": "...", "password": "..."}, "broker": {"host": "...", "port": 8883, "tls": true}}

TLS always checks the broker against cert/ca.der (DER), and its name; where cert/client.der and
cert/client.key (DER) are there, they are shown to the broker. Each step of the TLS handshake takes
the processor for as long as its arithmetic takes, up to some hundred milliseconds on an ESP32 with
RSA keys, and the scheduled safety tick waits: use P-256 keys, and expect the dead-man to open the
contactors while a board without a hard safety timer connects.
"""

import errno
import json
import select
import socket
import time

from hal.dns import Lookup, is_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from tls import SSLContext
    from typing import Any

_ATTEMPT_MS = 15_000


class NetworkError(ValueError):
    """network.json is missing or wrong; the message names the field, the value and what would be right."""


def _text(table: "dict[str, object]", section: str, name: str, path: str) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value:
        raise NetworkError("%s: %s.%s is %r, it must be text" % (path, section, name, value))
    return value


class Settings:
    """network.json: ssid and password (None without a wifi section), host, port, tls."""

    def __init__(self, root: str) -> None:
        path = root + "network.json"
        try:
            with open(path) as file:
                found: object = json.load(file)
        except OSError:
            raise NetworkError("%s is missing; boards/README.md shows one" % path)
        except ValueError as error:
            raise NetworkError("%s is not JSON: %s" % (path, error))
        if not isinstance(found, dict):
            raise NetworkError("%s: it must be an object with wifi and broker" % path)
        table: "dict[str, object]" = found  # pyright: ignore[reportUnknownVariableType]  isinstance leaves members open
        self.ssid: "str | None" = None
        self.password: "str | None" = None
        wifi = _section(table, "wifi")
        if wifi is not None:
            self.ssid = _text(wifi, "wifi", "ssid", path)
            self.password = _text(wifi, "wifi", "password", path)
        broker = _section(table, "broker")
        if broker is None:
            raise NetworkError("%s: there is no broker section" % path)
        self.host = _text(broker, "broker", "host", path)
        tls = broker.get("tls", True)
        if not isinstance(tls, bool):
            raise NetworkError("%s: broker.tls is %r, it must be true or false" % (path, tls))
        port = broker.get("port", 8883 if tls else 1883)
        if not isinstance(port, int) or not 1 <= port <= 65535:
            raise NetworkError("%s: broker.port is %r, it must be 1..65535" % (path, port))
        self.tls = tls
        self.port = port


def _section(table: "dict[str, object]", name: str) -> "dict[str, object] | None":
    found = table.get(name)
    if not isinstance(found, dict):
        return None
    section: "dict[str, object]" = found  # pyright: ignore[reportUnknownVariableType]  isinstance leaves members open
    return section


def _file(path: str) -> "bytes | None":
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def tls_context(root: str) -> "SSLContext":
    """A client context that checks the broker's certificate; NetworkError without cert/ca.der."""
    import tls

    authority = _file(root + "cert/ca.der")
    if authority is None:
        raise NetworkError("%scert/ca.der is missing; broker.tls needs it to check the broker" % root)
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    context.load_verify_locations(authority)
    certificate = _file(root + "cert/client.der")
    key = _file(root + "cert/client.key")
    if certificate is not None and key is not None:
        context.load_cert_chain(certificate, key)
    return context


class Network:
    """A network interface, brought up when it is made."""

    def up(self) -> bool:
        """True while there is an address."""
        raise NotImplementedError

    def dns(self) -> str:
        """Address of the name server."""
        raise NotImplementedError


class Link:
    """Byte stream to the broker. `open` may be called until it says True; nothing here blocks.

    `why` says in words what the link waits for, or why it failed last.
    """

    def __init__(
        self, network: "Network | None", settings: "Settings | None", root: str, why: str = ""
    ) -> None:
        self._network = network
        self._settings = settings
        self._root = root
        self._lookup: "Lookup | None" = None
        self._address: "str | None" = None
        self._sock: "socket.socket | None" = None
        self._stream: "Any" = None
        self._poll: "Any" = None
        self._began_ms: "Any" = None
        self.why = why

    def open(self) -> bool:
        """Begin or go on connecting; True once bytes may flow."""
        settings = self._settings
        network = self._network
        if settings is None or network is None:
            return False
        if self._stream is not None:
            return True
        try:
            if self._began_ms is None:
                self._began_ms = time.ticks_ms()
            elif time.ticks_diff(time.ticks_ms(), self._began_ms) > _ATTEMPT_MS:
                raise OSError("%s, and no longer" % self.why)
            return self._advance(network, settings)
        except (OSError, ValueError) as error:
            self.close()
            self.why = str(error)
            return False

    def _advance(self, network: Network, settings: Settings) -> bool:
        if not network.up():
            self.why = "waits for the network"
            return False
        if self._address is None:
            self._address = self._find(network, settings.host)
        if self._address is None:
            self.why = "waits for the name server"
            return False
        if self._sock is None:
            self._sock = self._begin(self._address, settings.port)
        self.why = "waits for the broker"
        if not self._connected():
            return False
        self._stream = self._wrap(self._sock, settings)
        self.why = ""
        return True

    def _find(self, network: Network, host: str) -> "str | None":
        if is_address(host):
            return host
        if self._lookup is None:
            self._lookup = Lookup(host, network.dns())
        return self._lookup.poll()

    def _begin(self, address: str, port: int) -> "socket.socket":
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLOUT)
        try:
            sock.connect(socket.getaddrinfo(address, port)[0][-1])
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                sock.close()
                raise
        return sock

    def _connected(self) -> bool:
        for _, flags in self._poll.poll(0):
            if flags & (select.POLLERR | select.POLLHUP):
                raise OSError("the broker at %s refused" % self._address)
            return True
        return False

    def _wrap(self, sock: "socket.socket", settings: Settings) -> "Any":
        if not settings.tls:
            return sock.makefile("rwb", 0)
        # the handshake goes on inside the first reads and writes, one message at a time
        context = tls_context(self._root)
        return context.wrap_socket(sock, server_hostname=settings.host, do_handshake_on_connect=False)

    def readinto(self, buf: bytearray) -> int:
        """Bytes read into the start of buf, 0 when none wait, -1 when the broker hung up."""
        if self._stream is None:
            return -1
        try:
            n = self._stream.readinto(buf)
        except (OSError, ValueError) as error:  # ValueError: the certificate was refused
            self.why = str(error)
            return -1
        return 0 if n is None else n or -1

    def write(self, buf: bytearray, n: int) -> int:
        """Bytes of buf[:n] taken, 0 when the line is full, -1 when the broker hung up."""
        if self._stream is None:
            return -1
        try:
            return self._stream.write(memoryview(buf)[:n]) or 0
        except (OSError, ValueError) as error:
            self.why = str(error)
            return -1

    def close(self) -> None:
        """Hang up; `open` starts anew, with the look-up."""
        for thing in (self._lookup, self._stream, self._sock):
            if thing is not None:
                try:
                    thing.close()
                except OSError:
                    pass  # it has gone already
        self._lookup = self._address = self._sock = self._stream = self._poll = self._began_ms = None


class Wifi(Network):
    """The ESP32's station interface; it reconnects by itself."""

    def __init__(self, settings: Settings) -> None:
        import network

        if settings.ssid is None:
            raise NetworkError("network.json: there is no wifi section")
        self._nic = network.WLAN(network.STA_IF)
        # bringing the radio up takes time, so it is done here, before the safety timer runs
        self._nic.active(True)
        self._nic.connect(settings.ssid, settings.password)

    def up(self) -> bool:
        """True while there is an address."""
        return self._nic.isconnected()

    def dns(self) -> str:
        """Address of the name server."""
        return self._nic.ifconfig()[3]


class Lan(Network):
    """The i.MX RT's Ethernet port, by DHCP."""

    def __init__(self, settings: Settings) -> None:
        import network

        self._nic = network.LAN(0)
        self._nic.active(True)

    def up(self) -> bool:
        """True while there is an address."""
        return self._nic.isconnected() and self._nic.ifconfig()[0] != "0.0.0.0"

    def dns(self) -> str:
        """Address of the name server."""
        return self._nic.ifconfig()[3]


def link(make_network: "Callable[[Settings], Network]", root: str) -> Link:
    """The board's link from the settings in `root`; where they are missing or wrong, one that says so."""
    try:
        settings = Settings(root)
        return Link(make_network(settings), settings, root)
    except NetworkError as error:
        print("network: %s" % error)
        return Link(None, None, root, str(error))
