"""State of charge with an error bar: extended Kalman filter on the pack's mean cell.

States: SoC, the slow error of the model's voltage, the gain of its resistances, the current sensor's offset;
the voltages of the two RC pairs follow the current without doubt. Samples of a second are moved through
the model one by one; their innovations, weighted by how far the model can be trusted at that current, wait in
a block of a few seconds and correct the state together (ekf_sample.py; ekf_kernel.py has the arithmetic).

Why it does not lock in: the OCV's slope is a secant over the present uncertainty; what the model does not
know (OCV, hysteresis, resistance) are states of their own, so that no number of samples makes sigma smaller
than they allow; an innovation that the filter cannot explain widens it, and three on end start it anew.
"""

from array import array

from bms.estimate import ekf_kernel as k
from bms.estimate.ecm import load
from bms.estimate.ekf_sample import FLOOR_CPCT, LOADED, RESTED
from bms.estimate.inputs import scaled
from bms.sample import UNKNOWN_CPCT

try:
    from native_ekf import observe
except ImportError:
    from bms.estimate.ekf_sample import observe

_BIAS = k.BIAS
LOST_CPCT = 6000
"""Sigma of a SoC of which nothing is known."""
_OFFSET_VARIANCE = 4_128_000
"""Of the current sensor: (1.55 % of 1C)^2 in 2^-26 (1/16 C)^2."""


class Ekf:
    """Estimator of a string of `capacity_mah` made of cells that the ECM `block` describes."""

    def __init__(self, capacity_mah: int, block: "bytes | bytearray") -> None:
        self.tab = load(block)
        self.words = array("i", [_BIAS] * k.CAPACITY + [0] * (k.WORDS - k.CAPACITY))
        self.words[k.CAPACITY], self.words[k.SHIFT] = scaled(capacity_mah)
        self.words[k.SIGMA_CPCT] = UNKNOWN_CPCT
        self.started = False

    def start(self, soc_cpct: int, sigma_cpct: int, rested: bool) -> None:
        """Begin at `soc_cpct`, 0..10000, known to `sigma_cpct`; both in 0.01 %.

        `rested`: no load for some time constants, so that the first voltage is the OCV.
        """
        x = self.words
        for i in range(k.CAPACITY):
            x[i] = _BIAS
        soc_cpct = min(10_000, max(0, soc_cpct))
        sigma_cpct = min(LOST_CPCT, max(FLOOR_CPCT, sigma_cpct))
        x[k.SOC] = soc_cpct * 6711 + _BIAS
        root = sigma_cpct * 8192 // 5000
        x[k.D0] = root * root + _BIAS
        x[k.D2] = k.GAIN_VARIANCE + _BIAS
        x[k.D3] = _OFFSET_VARIANCE + _BIAS
        x[k.HISTORY] = RESTED if rested else LOADED
        x[k.ODD] = x[k.UNSEEN] = 0
        x[k.SOC_CPCT] = soc_cpct
        x[k.SIGMA_CPCT] = sigma_cpct
        self.started = True

    @property
    def soc_cpct(self) -> int:
        """SoC, 0.01 %."""
        return self.words[k.SOC_CPCT]

    @property
    def sigma_cpct(self) -> int:
        """Its deviation, 0.01 %; UNKNOWN_CPCT until `start`."""
        return self.words[k.SIGMA_CPCT]

    @property
    def soc_q26(self) -> int:
        """SoC, 2^-26."""
        return self.words[k.SOC] - _BIAS

    @property
    def offset_q24(self) -> int:
        """Offset of the current sensor as found, 2^-24 of 1C."""
        return self.words[k.OFFSET] - _BIAS

    def observe(self, dt_ms: int, current_ma: int, cell_16mv: int, temp_dc: int, lost_ms: int = 0) -> None:
        """One sample: mean current over the last dt_ms (1..1000), the mean cell's voltage in 1/16 mV (0: not
        measured), its temperature in 0.1 degC. For `lost_ms` of the time the current was not measured."""
        observe(self.words, self.tab, dt_ms, current_ma, cell_16mv, temp_dc, lost_ms)
