"""The device's network on a desk: one call a second."""

from __future__ import annotations

from bms.estimate.lstm_soc import LstmSoc

from cloud.training.networks import blob_of, record_of


class SocPredictor:
    """State of charge by the network for `cell`, as the device computes it. ValueError for no such cell."""

    def __init__(self, cell: str, capacity_ah: float | None = None) -> None:
        given = record_of(cell)["capacity_ah"] if capacity_ah is None else capacity_ah
        self._soc = LstmSoc(round(given * 1000), blob_of(cell))

    def predict_realtime(
        self, voltage_v: float, current_a: float, temperature_c: float, dt_s: float = 1.0
    ) -> tuple[float, float]:
        """(SoC, sigma), 0..1, after a sample of `dt_s` (0.001 to 1 s); positive current charges. The network
        steps once a second. Raises ValueError for values that no cell has."""
        for name, value, low, high in (
            ("voltage_v", voltage_v, 0.0, 6.0),
            ("current_a", current_a, -5000.0, 5000.0),
            ("temperature_c", temperature_c, -60.0, 150.0),
            ("dt_s", dt_s, 0.001, 1.0),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} is {value:g}; must be {low:g} to {high:g}")
        self._soc.observe(
            round(dt_s * 1000), round(current_a * 1000), round(voltage_v * 16_000), round(temperature_c * 10)
        )
        return self._soc.soc_cpct / 10_000, self._soc.sigma_cpct / 10_000
