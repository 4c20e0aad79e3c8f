"""The part of a replay that runs where the estimator runs: takes samples, gives estimates.

Runs on CPython and MicroPython alike. A record is WORDS 32-bit little-endian words: dt_ms, current_ma,
voltage in 1/16 mV, temperature in 0.1 degC, ms without current, and 1 when an estimate is wanted. A record
with dt_ms 0 starts anew: 0, soc_cpct, sigma_cpct, rested, 0, 0. An estimate is SoC 2^-26, sigma_cpct, offset
2^-24 of 1C.
"""

from array import array

from bms.estimate.fusion import Fusion

WORDS = 6
RESULTS = 3
_PIECE = 256 * 4 * WORDS


class Stream:
    """One estimator and the records that come to it, in pieces of any whole number of records."""

    def __init__(self, capacity_mah: int, block: bytes, network: bytes = b"", rated_mah: int = 0) -> None:
        self._soc = Fusion(capacity_mah, block, network, rated_mah)

    def feed(self, piece: bytes) -> bytearray:
        """The estimates that the records of `piece` ask for."""
        soc = self._soc
        record = array("i", piece)
        out = bytearray()
        result = array("i", [0] * RESULTS)
        for at in range(0, len(record), WORDS):
            if record[at] == 0:
                soc.start(record[at + 1], record[at + 2], record[at + 3] != 0)
                continue
            soc.observe(record[at], record[at + 1], record[at + 2], record[at + 3], record[at + 4])
            if record[at + 5]:
                result[0] = soc.soc_q26
                result[1] = soc.sigma_cpct
                result[2] = soc.offset_q24
                out.extend(bytes(result))
        return out


def read(path: str) -> bytes:
    """What a file holds."""
    with open(path, "rb") as file:  # noqa: PTH123  MicroPython has no pathlib
        return file.read()


def main(capacity_mah: int, rated_mah: int, folder: str) -> None:
    """The same over files of a folder: `block`, `network` (may be empty) and `source` give `sink`."""
    stream = Stream(capacity_mah, read(folder + "/block"), read(folder + "/network"), rated_mah)
    with open(folder + "/source", "rb") as source, open(folder + "/sink", "wb") as sink:  # noqa: PTH123
        while True:
            piece = source.read(_PIECE)
            if not piece:
                return
            sink.write(stream.feed(piece))
