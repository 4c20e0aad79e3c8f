"""The emulated board's own MicroPython port, tried on the real image in QEMU: what board.py may rely on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boards.an500_machine import LOCKSTEP, Machine, fresh_nvm, receive

FRAME = bytes(range(1, 25)) + b"\0"


@pytest.fixture
def nvm(tmp_path: Path) -> Path:
    return fresh_nvm(tmp_path / "nvm.bin")


@pytest.fixture
def machine(tmp_path: Path, nvm: Path) -> Iterator[Machine]:
    with Machine(tmp_path, nvm) as m:
        m.raw_repl()
        yield m


def test_identity_heap_and_paths(machine: Machine) -> None:
    out = machine.run("import gc, os, sys\nprint(sys.platform, os.uname().machine, sys.path)")
    assert out == "mps2_an500 QEMU MPS2-AN500 with Cortex-M7 ['/lib', '', '.frozen']"
    total = int(machine.run("print(gc.mem_free() + gc.mem_alloc())"))
    assert 0.95 * 163840 < total < 163840, "160 kB with the collector's own tables"
    assert machine.run("import machine\nprint(machine.reset_cause() == machine.PWRON_RESET)") == "True"


def test_native_code_and_modules(machine: Machine) -> None:
    machine.run(
        "import asyncio, binascii, collections, errno, hashlib, heapq, io, json, random, re, select, struct\n"
        "import array, math, micropython\n"
        "@micropython.viper\ndef v(x: int) -> int:\n    return x * x\n"
        "@micropython.asm_thumb\ndef a(r0):\n    add(r0, r0, 1)\n"
        "@micropython.native\ndef n(x):\n    return x * 2.5\n"
        "assert (v(7), a(4), n(2), (1 << 90) >> 89, micropython.heap_locked()) == (49, 5, 5.0, 2, 0)\n"
        "assert hashlib.sha256(b'abc').digest()[:4] == b'\\xbax\\x16\\xbf'\n"
    )


def test_raw_paste_and_ctrl_c(machine: Machine) -> None:
    machine.console.sendall(b"\x05A\x01")
    machine.read_until(b"R\x01")
    window = int.from_bytes(machine.read(2), "little")
    assert window >= 64
    machine.read(1)
    machine.console.sendall(b"print('pas' + 'ted')\x04")
    machine.read_until(b"\x04pasted\r\n\x04\x04>")
    machine.start("print('in')\nwhile True:\n    pass")
    machine.read_until(b"in")
    machine.console.sendall(b"\x03")
    assert "KeyboardInterrupt" in machine.finish()[1]


def test_both_uarts_echo_and_poll(machine: Machine) -> None:
    machine.run(
        "import mps2, select\nlines = [mps2.UART(1), mps2.UART(2)]\n"
        "buf = bytearray(64)\npoll = select.poll()\n"
        "assert lines[0].readinto(buf) == 0 and lines[0].any() == 0\n"
        "for u in lines: poll.register(u, select.POLLIN)"
    )
    machine.start(
        "left = 600\nwhile left:\n    for u, _ in poll.poll(100):\n"
        "        n = u.readinto(buf, 50)\n        left -= n\n        assert u.write(buf, n) == n\n"
    )
    for line, byte in ((machine.uart1, b"1"), (machine.uart2, b"2")):
        line.sendall(byte * 300)
        assert receive(line, 300) == byte * 300
    assert machine.finish() == ("", "")


def test_overruns_are_counted(machine: Machine) -> None:
    machine.run("import mps2\nu = mps2.UART(1, rxbuf=100)")
    machine.uart1.sendall(bytes(150))
    out = machine.run(
        "import time\nfor _ in range(200):\n    time.sleep_ms(10)\n    if u.overruns() == 50: break\n"
        "print(u.any(), u.overruns())"
    )
    assert out == "100 50"


TICK = """
import gc, mps2, time
n = 0
def tick(_):
    global n
    n += 1
    BODY
mps2.safety_timer(tick, 5)
start = time.ticks_ms()
while time.ticks_diff(time.ticks_ms(), start) < 500:
    LOOP
mps2.safety_timer(None)
print(n, mps2.safety_errors(), mps2.safety_overruns())
"""


def tick_program(body: str, loop: str) -> str:
    return TICK.replace("BODY", body).replace("LOOP", loop)


@pytest.mark.parametrize("loop", ["pass", "gc.collect()", "[x for x in range(100)]", "mps2.nvm_erase(0)"])
def test_safety_tick_goes_on_above_anything(tmp_path: Path, nvm: Path, loop: str) -> None:
    with Machine(tmp_path, nvm, LOCKSTEP) as m:
        m.raw_repl()
        ticks, errors, overruns = map(int, m.run(tick_program("pass", loop)).split())
    assert 100 <= ticks <= 108, "500 ms (and the end of an erase) of 5 ms ticks"
    assert (errors, overruns) == (0, 0)


def test_tick_may_not_allocate_and_survives_it(machine: Machine) -> None:
    out = machine.run(tick_program("if n % 10 == 0: bytearray(1000)", "gc.collect()"))
    ticks, errors, _ = map(int, out.splitlines()[-1].split())
    assert "MemoryError: memory allocation failed, heap is locked" in out
    assert ticks >= 90
    assert errors == ticks // 10


def test_late_ticks_are_counted_not_queued(tmp_path: Path, nvm: Path) -> None:
    with Machine(tmp_path, nvm, LOCKSTEP) as m:
        m.raw_repl()
        ticks, _, overruns = map(int, m.run(tick_program("time.sleep_us(12000)", "pass")).split())
    assert 32 <= ticks <= 35, "one in three"
    assert 60 <= overruns <= 70


def test_soft_reset_stops_the_tick(machine: Machine) -> None:
    machine.run(tick_program("pass", "pass").replace("mps2.safety_timer(None)\n", ""))
    machine.console.sendall(b"\x04")
    machine.read_until(b"soft reboot\r\n")
    machine.read_until(b"raw REPL; CTRL-B to exit\r\n>")
    out = machine.run("import machine, gc\ngc.collect()\nprint(machine.reset_cause() == machine.SOFT_RESET)")
    assert out == "True"


def test_scheduled_build_ticks_from_the_interpreter(tmp_path: Path, nvm: Path) -> None:
    with Machine(tmp_path, nvm, LOCKSTEP, board="mps2_an500-scheduled") as m:
        m.raw_repl()
        assert m.run("import mps2\nprint(mps2.SAFETY_TIMER)") == "scheduled"
        ticks, errors, _ = map(int, m.run(tick_program("bytearray(100)", "pass")).split())
        assert (ticks, errors) in ((99, 0), (100, 0))
        assert int(m.run(tick_program("pass", "mps2.nvm_erase(0)")).split()[2]) > 50, "an erase holds it up"


@pytest.mark.parametrize("hang", ["while True: pass", "machine.disable_irq()\nwhile True: pass"])
def test_watchdog_resets_and_says_so(machine: Machine, hang: str) -> None:
    machine.start(
        "import machine, mps2, time\nmps2.watchdog(100)\nt = time.ticks_ms()\n"
        f"while time.ticks_ms() - t < 300: mps2.watchdog_feed()\nprint('fed')\n{hang}"
    )
    machine.read_until(b"fed\r\n")
    machine.read_until(b"watchdog: ")
    machine.raw_repl()
    assert machine.run("import machine\nprint(machine.reset_cause() == machine.WDT_RESET)") == "True"
    machine.start("machine.reset()")
    machine.raw_repl()
    assert machine.run("import machine\nprint(machine.reset_cause() == machine.HARD_RESET)") == "True"


WAITS = """
import mps2
u = mps2.UART(1, lockstep=True)
b = bytearray(64)
mps2.watchdog(50)
print('w')
a = mps2.counts()
u.wait_frame()
print(mps2.counts() - a, u.any(), u.readinto(b), u.any(), u.wait_frame(), u.any())
mps2.watchdog(1000000)
print('x')
u.readinto(b)
u.wait_frame()
"""


def test_wait_frame_stops_device_time(tmp_path: Path, nvm: Path) -> None:
    with Machine(tmp_path, nvm, LOCKSTEP) as m:
        m.raw_repl()
        m.start(WAITS)
        m.read_until(b"w\r\n")
        time.sleep(0.3)  # six times the watchdog's patience, which counts device time
        m.uart1.sendall(FRAME[:10])
        time.sleep(0.1)
        m.uart1.sendall(FRAME[10:] + FRAME)
        gone, *rest = m.read_until(b"x\r\n").split()
        assert int(gone) < 1000, "40 ns each: waiting 400 ms took less than 40 us"
        assert rest == [b"25", b"25", b"0", b"True", b"25", b"x"], "one frame a wait"
        m.console.sendall(b"\x03")
        assert "KeyboardInterrupt" in m.finish()[1]


STEPPED = """
import micropython, mps2, time
u = mps2.UART(1, lockstep=True)
b = bytearray(64)
n = sum = phase = 0
@micropython.native
def tick(_):
    global n, sum
    u.wait_frame()
    u.write(b, u.readinto(b))
    sum = (sum * 31 + mps2.counts() + phase) & 0xffffff
    n += 1
mps2.safety_timer(tick, 5)
while n < 40:
    phase = (phase + 1) & 0xffff
mps2.safety_timer(None)
print('sum', sum, phase, mps2.counts(), time.ticks_us(), 'end')
"""


def stepped_run(folder: Path, template: bytes, chunk: int) -> bytes:
    folder.mkdir()
    (folder / "nvm.bin").write_bytes(template)
    with Machine(folder, folder / "nvm.bin", LOCKSTEP) as m:
        for _ in range(40):
            for at in range(0, len(FRAME), chunk):
                m.uart1.sendall(FRAME[at : at + chunk])
                time.sleep(0 if chunk == len(FRAME) else 0.001)
            assert receive(m.uart1, len(FRAME)) == FRAME
        return m.read_until(b"end")


def test_lockstep_time_is_the_same_to_the_count(tmp_path: Path, nvm: Path) -> None:
    with Machine(tmp_path, nvm) as m:
        m.raw_repl()
        m.run(f"f = open('/main.py', 'w')\nf.write({STEPPED!r})\nf.close()")
    template = bytearray(nvm.read_bytes())
    template[0xA00008:0xA0000C] = b"\xff" * 4
    runs = [stepped_run(tmp_path / str(i), bytes(template), chunk) for i, chunk in enumerate((25, 25, 7, 1))]
    assert len(set(runs)) == 1, runs


def test_nothing_sent_is_lost_to_a_slow_lockstep_peer(tmp_path: Path, nvm: Path) -> None:
    with Machine(tmp_path, nvm, LOCKSTEP) as m:
        m.raw_repl()
        m.start(
            "import mps2\nu = mps2.UART(1, lockstep=True)\nb = bytes(range(1, 200))\na = mps2.counts()\n"
            "for _ in range(50): assert u.write(b) == 199\nprint(mps2.counts() - a)"
        )
        time.sleep(0.5)
        assert receive(m.uart1, 50 * 199) == bytes(range(1, 200)) * 50
        assert int(m.finish()[0]) < 25_000, "under a millisecond for 10 kB: sending takes no device time"
