"""All that is estimated with a cell's tables: unknown before it is known, spread over a second, bounded."""

import binascii
import gc

import micropython
from bms.estimate.observer import Observer, power_limits
from bms.estimate.second import PERIODS
from bms.memory.cell import ECM, NETWORK, THERMAL
from bms.memory.journal import Journal
from bms.memory.kinds import STATE_KINDS
from bms.memory.layout import SECTOR, STATE, STATE_SECTORS
from bms.sample import CHARGE_POWER, CORE, CORE_AHEAD, DISCHARGE_POWER, ENERGY, ENERGY_SIGMA, MISSING, OUTLOOK
from bms.sample import SOC_HIGHEST, SOC_LOWEST, UNKNOWN_CPCT, Estimate, Snapshot
from bms.tables import params, signals
from ekf_vectors import plain_block
from healthy import cells, snapshot
from lstm_golden import SOC
from test_app import Nvm
from test_thermal import block as thermal_block

LIMITS = params.defaults(params.NMC)


def parts() -> "dict[int, bytearray]":
    """OCV 3 V + 1 V times SoC, 30 mV at 1C in each of R0, R1, R2."""
    return {ECM: plain_block(), THERMAL: thermal_block()}


def journal(nvm: "Nvm | None" = None) -> Journal:
    return Journal(nvm or Nvm(), STATE // SECTOR, STATE_SECTORS, STATE_KINDS)


def observer() -> Observer:
    return Observer(LIMITS, 4, parts(), journal())


def rested(cell_mv: int = 3700) -> Snapshot:
    """Contactors open, proven."""
    made = snapshot()
    cells(made, cell_mv)
    return made


def run(some: Observer, given: Snapshot, estimate: Estimate, seconds: int) -> None:
    for _ in range(seconds * PERIODS):
        some.step(given, estimate)


def test_unknown_until_a_proven_rest():
    some, estimate = observer(), Estimate()
    given = rested()
    given.proven = False
    run(some, given, estimate, 5)
    assert estimate.sigma_cpct == UNKNOWN_CPCT
    given.proven = True
    given.gates = 5
    run(some, given, estimate, 5)
    assert estimate.sigma_cpct == UNKNOWN_CPCT
    assert list(estimate.outlook) == [MISSING] * len(OUTLOOK)
    assert list(estimate.power_ma) == [MISSING] * 2
    given.gates = 0
    run(some, given, estimate, 10)
    assert abs(estimate.soc_cpct - 7000) < 100
    assert 100 < estimate.sigma_cpct < 500


def test_a_rest_of_one_second_finds_any_charge():
    for truth in (300, 2500, 5000, 9000, 9800):
        some, estimate = observer(), Estimate()
        given = rested(3000 + truth // 10)
        run(some, given, estimate, 1)
        assert abs(estimate.soc_cpct - truth) < 100, (truth, estimate.soc_cpct)
        assert 100 < estimate.sigma_cpct < 600, estimate.sigma_cpct
        given.gates = 5
        run(some, given, estimate, 8)
        assert abs(estimate.soc_cpct - truth) < 100, (truth, estimate.soc_cpct)


def test_a_voltage_that_relaxes_from_a_load_nobody_saw_is_within_sigma():
    for off_mv in (-60, -30, 30, 60):
        some, estimate = observer(), Estimate()
        some.resume(6900, 10_000 - 101)
        run(some, rested(3700 + off_mv), estimate, 2)
        assert abs(estimate.soc_cpct - 7000) < 3 * estimate.sigma_cpct, (off_mv, estimate.soc_cpct)


def test_with_open_contactors_what_was_told_with_certainty_is_found_wrong():
    for told, truth in ((0, 3000), (10_000, 6000), (2000, 9000)):
        some, estimate = observer(), Estimate()
        some.ekf.start(told, 100, True)
        run(some, rested(3000 + truth // 10), estimate, 60)
        assert abs(estimate.soc_cpct - truth) < 400, (told, truth, estimate.soc_cpct)
        assert abs(estimate.soc_cpct - truth) < 3 * estimate.sigma_cpct


def test_goes_on_from_what_was_stored():
    some, estimate = observer(), Estimate()
    some.resume(7040, 80)
    run(some, rested(), estimate, 1)
    assert abs(estimate.soc_cpct - 7040) < 10
    assert estimate.sigma_cpct <= 200


def test_what_was_stored_of_another_pack_is_not_believed():
    some, estimate = observer(), Estimate()
    some.resume(2000, 80)
    run(some, rested(), estimate, 10)
    assert abs(estimate.soc_cpct - 7000) < 100


def test_a_sigma_of_nothing_is_not_resumed():
    some, estimate = observer(), Estimate()
    some.resume(2000, UNKNOWN_CPCT)
    run(some, rested(), estimate, 10)
    assert abs(estimate.soc_cpct - 7000) < 100


def test_power_energy_and_core_after_a_second():
    some, estimate = observer(), Estimate()
    run(some, rested(), estimate, 3)
    outlook = estimate.outlook
    # 1 V over 90 mV at 1C of 3 Ah in 10 s and less: the base limits hold
    assert list(estimate.power_ma) == [LIMITS["charge_max_ma"], -LIMITS["discharge_max_ma"]]
    assert outlook[CHARGE_POWER] > 4 * 3.6 * LIMITS["charge_max_ma"] / 1000
    assert 4 * 2.8 * 20 < outlook[DISCHARGE_POWER] < 4 * 3.7 * 20
    # 70 % of 3 Ah at some 3.3 V, four times
    assert 25_000 < outlook[ENERGY] < 29_000
    assert 300 < outlook[ENERGY_SIGMA] < 4000
    assert (outlook[CORE], outlook[CORE_AHEAD]) == (250, 250)


def test_the_weakest_and_the_fullest_cell():
    some, estimate = observer(), Estimate()
    given = rested()
    cells(given, 3700, 3620, 3700, 3780)
    run(some, given, estimate, 1)
    run(some, given, estimate, 40)
    assert some.cells
    assert (some.cells.lowest, some.cells.highest) == (1, 3)
    assert 5900 < estimate.outlook[SOC_LOWEST] < 6300
    assert 7700 < estimate.outlook[SOC_HIGHEST] < 8100
    given.cells_known = given.fast_known = False
    run(some, given, estimate, 20)
    before = estimate.outlook[SOC_LOWEST]
    run(some, given, estimate, 60)
    assert estimate.outlook[SOC_LOWEST] < before


def test_one_cell_has_no_differences():
    some, estimate = Observer(LIMITS, 1, parts(), journal()), Estimate()
    given = snapshot(1)
    run(some, given, estimate, 3)
    assert abs(estimate.soc_cpct - 7000) < 100
    assert estimate.outlook[SOC_LOWEST] == MISSING


def test_an_empty_string_gives_nothing():
    some, estimate = observer(), Estimate()
    run(some, rested(2790), estimate, 10)
    assert estimate.power_ma[1] == 0
    assert estimate.outlook[DISCHARGE_POWER] == 0
    assert estimate.outlook[ENERGY] == 0
    assert estimate.power_ma[0] > 0


def test_cold_forbids_charge():
    some, estimate = observer(), Estimate()
    given = rested()
    given.temp_min_dc = given.temp_max_dc = LIMITS["charge_cold_end_dc"] - 1
    run(some, given, estimate, 3)
    assert estimate.power_ma[0] == 0
    assert estimate.power_ma[1] > 0


def test_lost_measurements_widen():
    some, estimate = observer(), Estimate()
    given = rested()
    run(some, given, estimate, 5)
    before = estimate.sigma_cpct
    given.fast_known = given.cells_known = given.temps_known = False
    run(some, given, estimate, 120)
    # half of 1C either way for two minutes
    assert estimate.sigma_cpct > before + 50


def test_of_an_unknown_charge_no_power_is_told():
    some, estimate = observer(), Estimate()
    given = rested()
    run(some, given, estimate, 3)
    some.ekf.start(5000, 4000, False)
    given.cells_known = False
    run(some, given, estimate, 3)
    assert estimate.sigma_cpct > 3000
    assert list(estimate.power_ma) == [MISSING] * 2
    for i in (CHARGE_POWER, DISCHARGE_POWER, ENERGY, ENERGY_SIGMA):
        assert estimate.outlook[i] == MISSING


def test_the_power_limits_lie_inside_the_trips():
    for chemistry in range(len(params.CHEMISTRIES)):
        limits = params.defaults(chemistry)
        within = power_limits(limits)
        assert limits["cell_uv_mv"] < within.least_mv < within.most_mv < limits["cell_ov_mv"]
        assert 0 < within.charge_ma < limits["charge_oc_ma"]
        assert 0 < within.discharge_ma < -limits["discharge_oc_ma"]


def test_every_word_of_the_outlook_is_a_signal():
    names = [row.name for row in signals.SIGNALS]
    for name in OUTLOOK:
        assert name in names


def test_without_thermal_tables_the_rest_goes_on():
    some, estimate = Observer(LIMITS, 4, {ECM: plain_block()}, journal()), Estimate()
    run(some, rested(), estimate, 3)
    assert estimate.outlook[CORE] == MISSING
    assert estimate.outlook[ENERGY] > 0


def test_a_network_advises_where_there_is_one():
    given = parts()
    given[NETWORK] = bytearray(binascii.a2b_base64(SOC))
    some, estimate = Observer(LIMITS, 4, given, journal()), Estimate()
    assert some.ekf.advisor
    run(some, rested(), estimate, 60)
    assert abs(estimate.soc_cpct - 7000) < 300
    assert some.ekf.advisor.sigma_cpct < UNKNOWN_CPCT
    assert observer().ekf.advisor is None


def test_wrong_parts_are_refused():
    bad = parts()
    bad[ECM][20] ^= 1
    deaf = parts()
    deaf[NETWORK] = bytearray(100)
    for wrong, word in (
        ({}, "circuit"), ({THERMAL: thermal_block()}, "circuit"), (bad, "ECM block"), (deaf, "network"),
    ):  # fmt: skip
        try:
            Observer(LIMITS, 4, wrong, journal())
        except ValueError as error:
            assert word in str(error)
        else:
            raise AssertionError(word)


def test_steps_allocate_nothing():
    made = parts()
    made[NETWORK] = bytearray(binascii.a2b_base64(SOC))
    some, estimate = Observer(LIMITS, 4, made, journal()), Estimate()
    given = rested()
    run(some, given, estimate, 3)
    given.gates = 5
    given.charge_ma_ms = -300_000
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(5 * PERIODS):
            some.step(given, estimate)
    finally:
        micropython.heap_unlock()
