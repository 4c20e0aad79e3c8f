"""The device's estimators over one aged cell's log; runs on CPython and on MicroPython alike."""

import json
from array import array

from bms.estimate import curve, ecm
from bms.estimate import ekf_kernel as k
from bms.estimate.ekf import Ekf
from bms.estimate.resistance import Resistance
from bms.estimate.rest import Rest
from bms.estimate.soh import LEAST_CPCT, Capacity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = 4
"""Of a sample, int32: mA, mean cell in 1/16 mV, 0.1 degC, 1 for open contactors."""
_CHUNK = 4096


class Counted:
    """Baseline: total least squares over the filter's own SoC at the same rests, both errors alike."""

    def __init__(self) -> None:
        self._last = -1
        self._xx = self._xy = self._yy = 0.0

    def take(self, soc_cpct: int, charge_cpct: int) -> None:
        """A rest: the filter's SoC, and the charge since the rest before."""
        x = soc_cpct - self._last
        if self._last >= 0 and abs(x) >= LEAST_CPCT:
            self._xx += x * x
            self._xy += x * charge_cpct
            self._yy += charge_cpct * charge_cpct
        self._last = soc_cpct

    def ratio(self) -> float:
        """Capacity over the nominal one."""
        apart = self._yy - self._xx
        return (apart + (apart * apart + 4 * self._xy * self._xy) ** 0.5) / (2 * self._xy)


class Health:
    """What a device told `capacity_mah`, the ECM `block` and the `shift` block (b"": not known) finds."""

    def __init__(self, capacity_mah: int, block: bytes, shift: bytes) -> None:
        tab = ecm.load(block)
        self._ekf = Ekf(capacity_mah, block)
        self._ekf.start(5000, 6000, True)
        self._rest = Rest(capacity_mah)
        self._capacity = Capacity(capacity_mah, tab, curve.load_shift(shift) if shift else None)
        self._resistance = Resistance(capacity_mah)
        self._counted = Counted()

    def sample(self, ma: int, cell_16mv: int, temp_dc: int, quiet: int) -> None:
        """One second."""
        ekf, rest = self._ekf, self._rest
        words = ekf.words
        before_cpct = ekf.soc_cpct
        words[k.QUIET] = k.BIAS + quiet
        ekf.observe(1000, ma, cell_16mv, temp_dc)
        turn = words[k.HYST] - k.BIAS >> 10
        rest.observe(1000, ma, cell_16mv, temp_dc, quiet > 0)
        if rest.ready:
            self._counted.take(before_cpct, rest.charge_cpct)
        self._capacity.step(rest, turn)
        self._resistance.observe(ma, cell_16mv, words[k.R0] - k.BIAS)

    def found(self) -> "dict[str, float]":
        """Capacities over the nominal one in 0.01 %, resistance likewise, their sigmas."""
        some = self._capacity
        return {
            "soh": some.soh_cpct,
            "sigma": some.sigma_cpct,
            "pairs": some.pairs,
            "counted": 10_000 * self._counted.ratio(),
            "resistance": self._resistance.ratio_cpct,
            "resistance_sigma": self._resistance.sigma_cpct,
        }


def _samples(path: str, sample: "Callable[[int, int, int, int], None]") -> None:
    words = array("i", [0] * (WORDS * _CHUNK))
    view = memoryview(words)
    with open(path, "rb") as source:  # noqa: PTH123 - MicroPython has no pathlib
        while True:
            n = source.readinto(view)
            if not n:
                return
            for i in range(0, n // 4, WORDS):
                sample(words[i], words[i + 1], words[i + 2], words[i + 3])


def main(capacity_mah: int, block: str, shift: str, source: str) -> None:
    """Run over the file `source` of int32 samples, print what was found as JSON. Names are paths."""
    with open(block, "rb") as file:  # noqa: PTH123
        block_bytes = file.read()
    with open(shift, "rb") as file:  # noqa: PTH123
        shift_bytes = file.read()
    health = Health(capacity_mah, block_bytes, shift_bytes)
    _samples(source, health.sample)
    print(json.dumps(health.found()))
