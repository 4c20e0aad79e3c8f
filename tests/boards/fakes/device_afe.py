"""Runs on MicroPython: the chips' drivers on wires that always answer, with the heap locked.

Prints groups that arrived, errors, and where the board counts them the instructions of a tick.
"""

import gc
from array import array

import micropython
from bms.sample import Command, Sample
from bms.tables import params
from hal.bq76952 import Bq76952
from hal.bq76952_bus import CRC8
from hal.bq76952_program import RUN
from hal.ltc6811 import Frontend, Ltc6811
from hal.ltc6811_chain import PEC15, pec15

try:
    from mps2 import counts
except ImportError:

    def counts():
        return 0


@micropython.viper
def copy(dst: ptr8, src: ptr8, n: int):  # noqa: F821  viper's word; a slice would allocate
    i = 0
    while i < n:
        dst[i] = src[i]
        i += 1


class Wire:
    """An I2C bus whose chip has finished a loop each second time it is asked: cells 3700 mV, 25 degC."""

    def __init__(self):
        self._answers = {
            register: self._answer(register, data)
            for register, data in (
                (0x34, bytes(8)),
                (0x62, b"\x82\x00"),
                (0x14, b"\x74\x0e" * 8),
                (0x24, b"\x74\x0e" * 8),
                (0x70, b"\xa6\x0b" * 3),
                (0x02, bytes(18)),
                (0x3E, bytes(6)),
            )
        }
        self._no = self._answer(0x62, bytes(2))
        self._ready = False

    def _answer(self, register, data):
        crc = CRC8[CRC8[CRC8[16] ^ register] ^ 17]
        out = bytearray()
        for byte in data:
            out.append(byte)
            out.append(CRC8[crc ^ byte])
            crc = 0
        return bytes(out)

    def readfrom_mem_into(self, address, register, buf):
        answer = self._answers[register]
        if register == 0x62:
            self._ready = not self._ready
            if not self._ready:
                answer = self._no
        copy(buf, answer, len(buf))

    def writeto(self, address, buf):
        return len(buf)


class Spi:
    """Two LTC6811 that keep their configuration; every other group reads 1.9258 V three times."""

    def __init__(self):
        self._config = bytearray(20)
        self._answers = {}

    def write(self, buf):
        if len(buf) == 20:
            for i in range(8):
                self._config[4 + i] = buf[12 + i]
                self._config[12 + i] = buf[4 + i]

    def write_readinto(self, out, into):
        code = out[1]
        if code == 2:
            copy(into, self._config, 20)
        else:
            if code not in self._answers:
                self._answers[code] = self._answer(code)
            copy(into, self._answers[code], 20)

    def _answer(self, code):
        answer = bytearray(20)
        for at in (4, 12):
            answer[at : at + 6] = b"\x3a\x4b" * (3 if code != 14 else 2) + (
                b"" if code != 14 else b"\x3a\x75"
            )
            pec = pec15(answer, at, 6, PEC15)
            answer[at + 6] = pec >> 8
            answer[at + 7] = pec & 255
        return bytes(answer)


class Pin:
    def value(self, level):
        pass


def bq76952():
    afe = Bq76952(Wire(), 16, 3, params.defaults(0), 1000)
    afe._setup.state = RUN
    afe._setup.check = lambda: None  # this wire keeps no registers
    return afe


def ltc6811():
    afe = Ltc6811(Spi(), Pin(), 2, 24, 6, params.defaults(0), Frontend(100, 50, 1500, 21))
    afe._config.write()
    return afe


def run(make, ticks):
    afe = make()
    afe.configured = True
    sample = Sample(afe.n_cells, afe.n_temps)
    command = Command()
    command.balance[0] = 3
    cost = array("i", [0] * ticks)
    for _ in range(200):
        afe.read(sample)
        afe.write(command, 0, 0)
    gc.collect()
    micropython.heap_lock()
    for i in range(ticks):
        start = counts()
        afe.read(sample)
        afe.write(command, 0, 0)
        cost[i] = counts() - start & 0x3FFFFFFF
    micropython.heap_unlock()
    print("GROUPS", sample.seq[0], sample.seq[1], sample.seq[2], "ERRORS", afe.errors())
    print("INSTRUCTIONS", 40 * sum(cost) // ticks, 40 * max(cost))
