"""A Semitec 103AT-2 thermistor: 10 kOhm at 25 degC (data sheet P12-13)."""

import math
from itertools import pairwise

_KOHM = {
    -50: 329.5, -40: 188.5, -30: 111.3, -20: 67.77, -10: 42.47, 0: 27.28, 10: 17.96, 20: 12.09,
    25: 10.0, 30: 8.313, 40: 5.827, 50: 4.160, 60: 3.020, 70: 2.228, 80: 1.668, 90: 1.266,
    100: 0.9731, 110: 0.7576,
}  # fmt: skip


def resistance_ohm(temperature_c: float) -> float:
    """Resistance at -50..110 degC; infinite below (open), 0 above (shorted)."""
    for low, high in pairwise(_KOHM):
        if low <= temperature_c <= high:
            # ln R is nearly straight over 1/T
            part = (1 / (temperature_c + 273.15) - 1 / (low + 273.15)) / (
                1 / (high + 273.15) - 1 / (low + 273.15)
            )
            log_kohm = math.log(_KOHM[low]) * (1 - part) + math.log(_KOHM[high]) * part
            return 1000 * math.exp(log_kohm)
    return math.inf if temperature_c < 0 else 0.0


def share(temperature_c: float, pullup_ohm: float = 10_000) -> float:
    """Share of the supply across the thermistor below a pull-up, 0..1."""
    ohm = resistance_ohm(temperature_c)
    return 1.0 if math.isinf(ohm) else ohm / (ohm + pullup_ohm)
