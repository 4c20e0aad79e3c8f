"""The register protocol of a BQ76952 over I2C, with CRC-8 and without; allocates nothing after `__init__`.

With CRC every data byte is followed by one: of the first byte over everything since the start
(address, register, address with the read bit, byte), of the others over that byte alone; x^8 + x^2 +
x + 1 from 0 (TI SLUUBY2B 9.4, examples in SLUAA11B 4).
"""

import micropython

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import I2C

ADDRESS = 0x08

_READ_LENGTHS = (2, 4, 6, 8, 16, 18)
_WRITE_LENGTHS = (2, 3, 4, 6)


def _table() -> bytes:
    table = bytearray(256)
    for i in range(256):
        crc = i
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
        table[i] = crc
    return bytes(table)


CRC8 = _table()


@micropython.viper
def unpack(dst: ptr8, src: ptr8, n: int, crc: int, table: ptr8) -> int:
    """dst[0:n] = the data bytes of src, each followed by its CRC; `crc` is that of what came before.

    Returns how many of them were right, from the first on.
    """
    i = 0
    while i < n:
        data = src[2 * i]
        if table[crc ^ data] != src[2 * i + 1]:
            return i
        dst[i] = data
        crc = 0
        i += 1
    return n


class Bus:
    """Reads into `data`, writes from `out`. `crc`: the protocol the chip speaks; `bad` counts failures."""

    def __init__(self, i2c: "I2C") -> None:
        self._i2c = i2c
        self.crc = True
        self.bad = 0
        self.silent = 0
        self.data = bytearray(32)
        self.out = bytearray(8)
        self._wire = bytearray(40)
        whole = memoryview(self._wire)
        lengths = list(_READ_LENGTHS) + [2 * n for n in _READ_LENGTHS]
        lengths += [1 + n for n in _WRITE_LENGTHS] + [1 + 2 * n for n in _WRITE_LENGTHS]
        self._views = {n: whole[:n] for n in lengths}

    def read(self, register: int, n: int) -> bool:
        """data[:n] = n bytes from `register` on; False, and counted, when they did not come whole."""
        view = self._views[2 * n if self.crc else n]
        try:
            self._i2c.readfrom_mem_into(ADDRESS, register, view)
        except OSError:
            return self._failed()
        if self.crc:
            before = CRC8[CRC8[CRC8[2 * ADDRESS] ^ register] ^ (2 * ADDRESS + 1)]
            if unpack(self.data, self._wire, n, before, CRC8) != n:
                return self._failed()
        else:
            for i in range(n):
                self.data[i] = self._wire[i]
        self.silent = 0
        return True

    def write(self, register: int, n: int) -> bool:
        """Write out[:n] from `register` on; False, and counted, when the chip did not take them."""
        wire = self._wire
        out = self.out
        wire[0] = register
        if self.crc:
            crc = CRC8[CRC8[2 * ADDRESS] ^ register]
            for i in range(n):
                wire[1 + 2 * i] = out[i]
                wire[2 + 2 * i] = CRC8[crc ^ out[i]]
                crc = 0
        else:
            for i in range(n):
                wire[1 + i] = out[i]
        try:
            self._i2c.writeto(ADDRESS, self._views[1 + 2 * n if self.crc else 1 + n])
        except OSError:
            return self._failed()
        return True

    def command(self, number: int) -> bool:
        """Write a subcommand or an address of the data memory into 0x3E and 0x3F."""
        self.out[0] = number & 0xFF
        self.out[1] = number >> 8
        return self.write(0x3E, 2)

    def store(self, number: int, payload: "bytes | bytearray", n: int) -> bool:
        """Write payload[:n] under a subcommand or into the data memory, with its checksum and length."""
        out = self.out
        out[0] = number & 0xFF
        out[1] = number >> 8
        total = out[0] + out[1]
        for i in range(n):
            out[2 + i] = payload[i]
            total += payload[i]
        if not self.write(0x3E, 2 + n):
            return False
        out[0] = ~total & 0xFF
        out[1] = 4 + n
        return self.write(0x60, 2)

    def answered(self, number: int) -> bool:
        """Whether the 0x3E and 0x3F just read (data[:2]) hold `number`: the transfer buffer is ready."""
        return self.data[0] | self.data[1] << 8 == number

    def _failed(self) -> bool:
        self.bad += 1
        self.silent += 1
        return False
