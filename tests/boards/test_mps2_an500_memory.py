"""The emulated board's NVM and file system on the real image in QEMU; killing that is the power cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.boards.an500_machine import FACTORY_START, LOCKSTEP, Machine, fresh_nvm


@pytest.fixture
def nvm(tmp_path: Path) -> Path:
    return fresh_nvm(tmp_path / "nvm.bin")


NVM_RULES = [
    ("nvm_program(3, b'\\xff')", "nvm program 0x3: byte 0x3 holds 0x0f, 0xff would set bits: erase first"),
    ("nvm_program(250, bytes(7))", "nvm program 0xfa+7: leaves its page of 256 bytes"),
    ("nvm_erase(7)", "nvm erase 0x7: not the start of a 4096 byte sector"),
    ("nvm_erase(1 << 20)", "nvm erase 0x100000+4096: outside 0..0x100000"),
    ("nvm_read((1 << 20) - 1, bytearray(2))", "nvm read 0xfffff+2: outside 0..0x100000"),
]


def test_nvm_rules_and_times(tmp_path: Path, nvm: Path) -> None:
    with Machine(tmp_path, nvm, LOCKSTEP) as m:
        m.raw_repl()
        m.run("import mps2, time\nmps2.nvm_program(0, b'\\x0f' * 16)\nmps2.nvm_program(4, b'\\x0e')")
        for call, message in NVM_RULES:
            assert m.run(f"try:\n    mps2.{call}\nexcept ValueError as e:\n    print(e)") == message
        m.run("t = [time.ticks_us()]\nmps2.nvm_erase(4096)\nt.append(time.ticks_us())")
        m.run("mps2.nvm_program(0, bytes(16))\nt.append(time.ticks_us())")
        erase_us = int(m.run("print(t[1] - t[0])"))
        page_us = int(
            m.run("a = time.ticks_us(); mps2.nvm_program(0, bytes(16)); print(time.ticks_us() - a)")
        )
    assert 40000 <= erase_us < 40200
    assert 700 <= page_us < 800
    assert nvm.read_bytes()[:17] == bytes(16) + b"\xff"


def test_power_cut_lands_inside_an_erase(tmp_path: Path, nvm: Path) -> None:
    with nvm.open("r+b") as handle:
        handle.write(bytes(4096))
    with Machine(tmp_path, nvm, LOCKSTEP) as m:
        m.raw_repl()
        # The hard tick hangs half-way, which holds the erase there until the power goes.
        m.start("import mps2\ndef tick(_):\n    print('cut')\n    while True: pass\n")
        m.finish()
        m.start("mps2.safety_timer(tick, 20)\nmps2.nvm_erase(0)")
        m.read_until(b"cut")
    sector = nvm.read_bytes()[:4096]
    erased = sector.count(0xFF)
    assert 1500 < erased < 2500
    assert sector == b"\xff" * erased + bytes(4096 - erased)


def test_files_survive_a_power_cut_and_win_over_frozen_code(tmp_path: Path, nvm: Path) -> None:
    with Machine(tmp_path, nvm) as m:
        m.raw_repl()
        m.run("f = open('/main.py', 'w')\nf.write('import json; print(json.where)')\nf.close()")
        m.run("import os\nos.mkdir('/lib')\nf = open('/lib/json.py', 'w')\nf.write('where = 7')\nf.close()")
    with nvm.open("r+b") as handle:
        handle.seek(FACTORY_START)
        handle.write(b"\xff" * 4)
    with Machine(tmp_path, nvm) as m:
        assert b"7\r\n" in m.read_until(b">>> ")


def test_zeroed_nvm_file_starts_erased(tmp_path: Path) -> None:
    nvm = tmp_path / "zero.bin"
    nvm.write_bytes(bytes(0xA00008) + b"REPL" + bytes((16 << 20) - 0xA0000C))
    with Machine(tmp_path, nvm) as m:
        m.raw_repl()
        m.run("import mps2\nb = bytearray(4)\nmps2.nvm_read(0, b)\nassert b == b'\\xff' * 4")
