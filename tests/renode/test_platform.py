"""The platform in Renode is the one that the port was written for: the same numbers in both."""

from __future__ import annotations

import re
from pathlib import Path

from hil.targets import renode

BOARD = Path(__file__).parents[2] / "boards" / "mps2_an500"
PORT = BOARD / "port"
PLATFORM = (BOARD / "renode" / "mps2_an500.repl").read_text()


def number(pattern: str, source: str) -> int:
    """The number that the pattern's group finds in a source file of the port; with an M it is in MiB."""
    found = re.search(pattern, (PORT / source).read_text())
    assert found, f"{source}: nothing like {pattern}"
    text = found[1].rstrip("uU")
    return int(text[:-1]) << 20 if text.endswith("M") else int(text, 0)


def entry(name: str) -> tuple[str, int, dict[str, str]]:
    """Type, address and attributes of a peripheral."""
    found = re.search(rf"^{name}: ([\w.]+) @ sysbus(?: (0x\w+))?\n((?:    .*\n)*)", PLATFORM, re.MULTILINE)
    assert found, name
    attributes: dict[str, str] = {}
    for line in found[3].splitlines():
        key, value = re.split(r": | -> ", line.strip(), maxsplit=1)
        attributes[key] = value
    return found[1], int(found[2] or "0", 16), attributes


def test_memory_lies_where_the_linker_puts_it() -> None:
    for name, region in (("ssram1", "ROM"), ("ssram23", "NOINIT")):
        kind, base, attributes = entry(name)
        assert kind == "Memory.MappedMemory"
        assert base == number(rf"{region} .*ORIGIN = (\w+)", "an500.ld")
        size = "ROM" if region == "ROM" else "RAM"
        assert int(attributes["size"], 16) == number(rf"{size} .*LENGTH = (\w+)", "an500.ld")


def test_psram_holds_nvm_files_factory_page_and_dma_window() -> None:
    kind, base, attributes = entry("psram")
    size = int(attributes["size"], 16)
    assert kind == "Memory.MappedMemory"
    assert base == number(r"PSRAM_BASE \((\w+)\)", "an500.h") == renode.PSRAM
    assert size == renode.emulator.NVM_BYTES
    for name, source in (
        ("NVM_SIZE", "nvm.h"),
        ("FLASH_OFFSET", "nvm.h"),
        ("FACTORY_OFFSET", "nvm.h"),
        ("DMA_OFFSET", "modmps2_dma.c"),
    ):
        assert number(rf"{name} \((\w+)\)", source) < size


def test_uarts_and_their_interrupts() -> None:
    listed = re.search(r"hardware\[UART_COUNT\] = \{(.*?)\};", (PORT / "uart.c").read_text(), re.DOTALL)
    assert listed
    bases = [int(base, 16) for base in re.findall(r"\)(0x\w+?)u", listed[1])]
    assert len(bases) == number(r"UART_COUNT \((\d+)\)", "uart.h")
    for n, base in enumerate(bases):
        kind, address, attributes = entry(f"uart{n}")
        irq = number(rf"UART{n}_RX_IRQn = (\d+)", "an500.h")
        assert kind == "UART.CMSDK_APB_UART"
        assert address == base
        assert attributes["RxInterrupt"] == f"nvic@{irq}"
        assert attributes["TxInterrupt"] == f"nvic@{irq + 1}"


def test_every_clock_is_the_ports() -> None:
    clock = number(r"AN500_CLOCK_HZ \((\w+)\)", "an500.h")
    assert clock == 1000 * number(r"SYSTICK_PER_MS \((\w+)\)", "systick.h")
    clocks = re.findall(r"(?:[fF]requency): (\d+)", PLATFORM)
    assert len(clocks) == 4
    assert {int(hz) for hz in clocks} == {clock}


def test_the_watchdog_is_silent_not_missing() -> None:
    silent = re.search(r"SilenceRange <(0x\w+) 0x1000>", PLATFORM)
    assert silent
    assert int(silent[1], 16) == number(r"WDOG \(\(wdog_t \*\)(\w+)\)", "watchdog.c")


def test_the_core_is_the_one_compiled_for() -> None:
    _, _, attributes = entry("cpu")
    assert attributes["cpuType"].strip('"') == "cortex-m7"
    assert "-mcpu=cortex-m7" in (PORT / "Makefile").read_text()


def test_the_script_finds_platform_and_image() -> None:
    lines = (BOARD / "renode" / "mps2_an500.resc").read_text().splitlines()
    defaults = dict(line.split("?=") for line in lines if "?=" in line)
    folder = BOARD / "renode"
    platform = folder / defaults["$platform"].removeprefix("$ORIGIN/")
    image = folder / defaults["$bin"].removeprefix("$ORIGIN/")
    assert platform.read_text() == PLATFORM
    assert image.resolve() == renode.emulator.IMAGE
    assert "start" not in lines
