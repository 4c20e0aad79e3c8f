"""The rig's side of Renode: what it is told, its terminals, its end. CPython runs the firmware there."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from hil.runner import Outcome, RunOptions, run_scenario
from hil.scenario import Inject, Scenario, find_scenario, load_scenario, scenarios
from hil.targets import BoardSetup, TargetError, make_target
from hil.targets.renode import NO_POWER_CUT, NO_WATCHDOG, RenodeTarget, script, unsupported

SETUP: dict[str, object] = {
    "tenant": "t",
    "site": "s",
    "pack": "p",
    "chemistry": 0,
    "series": 12,
    "temps": 4,
    "capacity_mah": 3000,
}


def board(image: Path, *, lockstep: bool = True) -> RenodeTarget:
    made = make_target("mps2_an500", BoardSetup(SETUP, image=image), lockstep=lockstep, emulator="renode")
    assert isinstance(made, RenodeTarget)
    return made


def at_rest(name: str) -> Scenario:
    """The scenario without a drive, so that it needs no log, and without the time after its trip."""
    return find_scenario(name).model_copy(update={"drive": False, "duration_s": 6.5})


@pytest.mark.usefixtures("renode")
@pytest.mark.parametrize("name", ["cell_over_voltage", "lost_measurement"])
def test_a_scenario_runs_through_the_terminals(name: str, image: Path) -> None:
    def outcome(options: RunOptions) -> Outcome:
        return run_scenario(at_rest(name), None, options)

    found = outcome(RunOptions("mps2_an500", "renode", image=image))
    reference = outcome(RunOptions("cpython"))
    assert found.error == ""
    assert found.trips == reference.trips
    assert len(found.trips) == 1
    assert found.sha256 == reference.sha256


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.usefixtures("renode")
def test_launcher_emulator_and_board_end_with_the_target(image: Path) -> None:
    target = board(image)
    target.start()
    assert target.child is not None
    group = target.child.process.pid
    folder = target.folder
    assert alive(group)
    target.stop()
    end = time.monotonic() + 5
    while alive(group) and time.monotonic() < end:
        time.sleep(0.02)
    assert not alive(group)
    assert not folder.exists()
    target.stop()


@pytest.mark.usefixtures("renode")
def test_an_emulator_that_dies_is_named(image: Path) -> None:
    target = board(image)
    try:
        target.start()
        assert target.child is not None
        os.killpg(target.child.process.pid, signal.SIGKILL)
        with pytest.raises(TargetError, match="mps2_an500: ended with status -9"):
            target.recv(5.0)
    finally:
        target.stop()


@pytest.mark.usefixtures("renode")
def test_what_the_monitor_refuses_is_said(image: Path) -> None:
    image.write_bytes(b"no image")
    target = board(image)
    try:
        with pytest.raises(
            TargetError, match=r"made no afe terminal; it said: .*firmware\.elf is no ELF file"
        ):
            target.start()
    finally:
        target.stop()


def test_without_renode_one_line_says_how_to_get_it(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError) as caught:
        board(image)
    said = str(caught.value)
    assert "\n" not in said
    assert "1.15 or newer" in said
    assert "https://github.com/renode/renode/releases" in said


@pytest.mark.usefixtures("renode")
def test_another_main_lies_in_the_memory_that_is_loaded(image: Path, tmp_path: Path) -> None:
    main = "print('spoilt')"
    nvm = tmp_path / "nvm.bin"
    setup = BoardSetup(SETUP, image=image, main=main, nvm=nvm)
    target = make_target("mps2_an500", setup, lockstep=True, emulator="renode")
    try:
        target.start()
    finally:
        target.stop()
    assert main.encode() in nvm.read_bytes()


def test_the_script_joins_both_links_and_lets_time_run(tmp_path: Path) -> None:
    lines = script(tmp_path, free=False, broker=True).splitlines()
    assert f'emulation CreateUartPtyTerminal "broker" "{tmp_path}/broker" true' in lines
    assert "connector Connect sysbus.uart1 afe" in lines
    assert "connector Connect sysbus.uart2 broker" in lines
    assert "emulation SetGlobalAdvanceImmediately true" in lines
    assert lines[-1] == "start"
    free = script(tmp_path, free=True, broker=False)
    assert "emulation SetGlobalAdvanceImmediately false" in free
    assert "uart2" not in free
    assert "Socket" not in free


def test_only_power_cuts_and_the_watchdog_are_left_to_qemu() -> None:
    left_out = {
        name: why
        for name, path in scenarios().items()
        if "mps2_an500" in (scenario := load_scenario(path)).targets and (why := unsupported(scenario))
    }
    assert left_out == {
        "brown_out_while_driving": NO_POWER_CUT,
        "latched_fault_survives_power_cut": NO_POWER_CUT,
        "power_fails_in_mid_trip": NO_POWER_CUT,
        "watchdog_resets": NO_WATCHDOG,
        "watchdog_slow_task": NO_WATCHDOG,
    }
    cut = find_scenario("cell_over_voltage").model_copy(
        update={"inject": (Inject(at_s=1.0, kind="restart"),)}
    )
    assert unsupported(cut) == NO_POWER_CUT


def test_a_scenario_for_other_targets_is_not_listed() -> None:
    assert "unix" in unsupported(find_scenario("watchdog_derates"))
