"""Who this board is: written once when it is provisioned, read at every boot.

Layout at NVM offset IDENTITY: "CKID", u16 length, CBOR map, CRC-16 over the map (little endian).
"""

from bms.link import cbor
from bms.link.frame import crc16
from bms.memory.layout import IDENTITY, PAGE
from bms.tables.params import CHEMISTRIES
from bms.tables.signals import topic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Nvm

_MAGIC = b"CKID"
_MAX = 512
_FIELDS = (
    "tenant", "site", "pack", "chemistry", "series", "temps", "capacity_mah", "user", "password",
)  # fmt: skip


class IdentityError(ValueError):
    """The identity is missing or wrong; the message names the field, the value and what would be right."""


class Identity:
    """tenant, site, pack (text), chemistry (index), series, temps, capacity_mah, user, password (or None)."""

    def __init__(self, fields: "dict[str, object]") -> None:
        self.tenant = _text(fields, "tenant")
        self.site = _text(fields, "site")
        self.pack = _text(fields, "pack")
        self.chemistry = _number(fields, "chemistry", 0, len(CHEMISTRIES) - 1)
        self.series = _number(fields, "series", 1, 96)
        self.temps = _number(fields, "temps", 1, 32)
        self.capacity_mah = _number(fields, "capacity_mah", 100, 1_000_000)
        self.user = _optional(fields, "user")
        self.password = _optional(fields, "password")
        for name in fields:
            if name not in _FIELDS:
                raise IdentityError("identity: unknown field %r" % (name,))

    def topic(self, leaf: str) -> bytes:
        """The MQTT topic of the pack's leaf."""
        return topic(self.tenant, self.site, self.pack, leaf).encode()


def _text(fields: "dict[str, object]", name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= 40:
        raise IdentityError("identity: %s is %r, it must be text of 1 to 40 characters" % (name, value))
    for character in value:
        if character in "/+#" or ord(character) < 33:
            raise IdentityError("identity: %s %r holds %r, not allowed in a topic" % (name, value, character))
    return value


def _number(fields: "dict[str, object]", name: str, low: int, high: int) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise IdentityError("identity: %s is %r, it must be %d..%d" % (name, value, low, high))
    return value


def _optional(fields: "dict[str, object]", name: str) -> "str | None":
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise IdentityError("identity: %s must be text" % name)
    return value


def image(fields: "dict[str, object]") -> bytes:
    """The bytes to write at NVM offset IDENTITY. Raises IdentityError when a field is missing or wrong."""
    Identity(fields)  # checks them
    body = cbor.encode(fields, _MAX)
    crc = crc16(body, len(body))
    n = len(body)
    return _MAGIC + bytes((n & 255, n >> 8)) + body + bytes((crc & 255, crc >> 8))


def write(nvm: "Nvm", fields: "dict[str, object]") -> None:
    """Provision a board: erase the identity's sector and program it anew."""
    data = image(fields)
    nvm.erase(IDENTITY)
    for at in range(0, len(data), PAGE):
        nvm.program(IDENTITY + at, data[at : at + PAGE])


def load(nvm: "Nvm") -> Identity:
    """The identity in `nvm`. Raises IdentityError saying what is wrong and how to provision."""
    head = bytearray(6)
    nvm.read(IDENTITY, head)
    if bytes(head[:4]) != _MAGIC:
        raise IdentityError("identity: none in NVM; provision the board first (boards/README.md)")
    n = head[4] | head[5] << 8
    if n > _MAX:
        raise IdentityError("identity: length %d, it must be at most %d" % (n, _MAX))
    body = bytearray(n + 2)
    nvm.read(IDENTITY + 6, body)
    if crc16(body, n) != body[n] | body[n + 1] << 8:
        raise IdentityError("identity: bad CRC in NVM; provision the board again")
    found = cbor.decode(bytes(body[:n]))
    if not isinstance(found, dict):
        raise IdentityError("identity: not a map")
    fields: "dict[str, object]" = found  # pyright: ignore[reportUnknownVariableType]  isinstance leaves members open
    return Identity(fields)
