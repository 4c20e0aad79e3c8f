"""Core temperature: the same everywhere, right in the steady state, doubtful where nothing was measured."""

import gc
from array import array

import micropython
from bms.estimate import thermal
from bms.estimate.ecm import checksum
from bms.estimate.thermal import UNKNOWN_DC, Thermal
from ekf_vectors import BITS, Random

DIGEST = 1585099578


def block(core: int = 44 * 256, surface: int = 3 * 256, inner: int = 1408, outer: int = 1536) -> bytearray:
    """A cell of 44 and 3 J/(K Ah), 5.5 and 6 K Ah/W."""
    words = array("H", [thermal.MAGIC, thermal.VERSION, core, surface, inner, outer, 77, 0])
    words[7] = checksum(words)
    out = bytearray(16)
    for i in range(8):
        out[2 * i] = words[i] & 0xFF
        out[2 * i + 1] = words[i] >> 8
    return out


def held(model: Thermal, seconds: int, heat_q8: int, surface_dc: int, ambient_dc: int = 250) -> None:
    for _ in range(seconds):
        model.observe(1000, heat_q8, surface_dc, ambient_dc)


def test_nothing_is_known_before_the_first_surface():
    model = Thermal(block())
    assert model.sigma_dc == UNKNOWN_DC
    for wrong in (-601, 1501, 30_000):
        model.observe(1000, 100, wrong, 250)
        assert model.sigma_dc == UNKNOWN_DC
    model.observe(1000, 0, 250, 250)
    assert model.core_dc == 250
    assert 30 <= model.sigma_dc <= 60


def test_without_heat_core_and_surface_are_one():
    model = Thermal(block())
    held(model, 1500, 0, 300, 300)
    model.forecast()
    assert abs(model.core_dc - 300) <= 1
    assert model.sigma_dc <= 8
    assert abs(model.forecast_core_dc - 300) <= 1
    assert abs(model.forecast_surface_dc - 300) <= 1


def test_the_steady_state_is_ohms_law():
    # 2 W/Ah through 5.5 K Ah/W: 11 K between core and surface
    model = Thermal(block())
    held(model, 2000, 512, 370)
    assert abs(model.core_dc - (370 + 110)) <= 3
    # 30 % and 10 % of that
    assert 30 <= model.sigma_dc <= 45


def test_a_cooling_that_nobody_told_is_found_from_the_surface():
    # 2 W/Ah with the surface steady at 45 degC; told ambient 25 degC and 6 K Ah/W would be 37 degC
    model = Thermal(block())
    held(model, 1500, 512, 450, 250)
    model.forecast()
    assert abs(model.forecast_surface_dc - 450) <= 3
    assert abs(model.forecast_core_dc - 560) <= 4


def test_the_forecast_is_what_comes():
    # a plant with the device's own constants, 4 W/Ah from rest
    plant_core = plant_surface = 250.0
    model = Thermal(block())
    forecast = (0, 0)
    for t in range(360):
        heat = 4.0
        for _ in range(10):
            flow = (plant_core - plant_surface) / 5.5
            plant_core += (heat * 10 - flow) / 44 * 0.1
            plant_surface += (flow - (plant_surface - 250) / 6) / 3 * 0.1
        model.observe(1000, 1024, int(plant_surface + 0.5), 250)
        if t == 299:
            model.forecast()
            forecast = (model.forecast_core_dc, model.forecast_surface_dc)
            assert abs(model.core_dc - plant_core) <= 4
    assert abs(forecast[0] - plant_core) <= 5
    assert abs(forecast[1] - plant_surface) <= 5


def test_a_lost_sensor_widens_sigma():
    model = Thermal(block())
    held(model, 1000, 256, 300)
    last = model.sigma_dc
    for _ in range(5):
        held(model, 120, 256, 30_000)
        assert model.sigma_dc > last
        last = model.sigma_dc
    held(model, 1, 256, 300)
    assert model.sigma_dc < last


def test_any_input_is_survived():
    random = Random(9)
    model = Thermal(block())
    for _ in range(300):
        value = random.below(65536) * 1000 - 32_768_000
        model.observe(value, value, random.below(2500) - 800, value)
        model.forecast()
        assert -600 <= model.core_dc <= 3000
        assert 0 < model.sigma_dc <= UNKNOWN_DC
        assert model.forecast_core_dc >= model.core_dc


def test_a_wrong_block_is_refused():
    good = block()
    for wrong, text in (
        (good[:-1], "15 bytes"),
        (bytearray(16), "magic"),
        (good[:-1] + b"\x00", "checksum"),
        (block(outer=0), "word 5"),
    ):
        try:
            Thermal(wrong)
        except ValueError as error:
            assert text in str(error), error
        else:
            raise AssertionError(text)


def test_random_samples_give_the_same_temperatures_everywhere():
    random = Random(3)
    result = 1
    for _ in range(8):
        model = Thermal(
            block(
                2000 + random.below(20_000),
                100 + random.below(2000),
                16 + random.below(9000),
                16 + random.below(9000),
            )
        )
        surface = 250
        for n in range(60):
            surface += random.below(21) - 10
            model.observe(100 + random.below(1000), random.below(6000), surface, 250 + random.below(40))
            if n % 20 == 0:
                model.forecast()
            for value in (model.core_dc, model.sigma_dc, model.forecast_core_dc, model.forecast_surface_dc):
                result = (result * 31 ^ value & 0xFFFF) & BITS
    assert result == DIGEST, result


def test_steps_allocate_nothing():
    model = Thermal(block())
    held(model, 3, 512, 300)
    gc.collect()
    micropython.heap_lock()
    try:
        held(model, 10, 16_000, 1400)
        model.forecast()
    finally:
        micropython.heap_unlock()
