"""What every board.py must hold (firmware/bms/contract.py), over fake hardware or real sockets."""

import itertools
import random
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bms.estimate.late import observer
from bms.link import frame
from bms.memory import boots, identity
from bms.sample import Command, Sample
from bms.tables.signals import GATE_NEGATIVE, GATE_POSITIVE, GATE_PRECHARGE
from workbench import FAKED_BOARDS, MACHINE_BOARDS, Bench, load

PAGE, SECTOR = 256, 4096
EVERY_BOARD = (*FAKED_BOARDS, "unix")


@pytest.fixture(params=EVERY_BOARD)
def board(
    request: pytest.FixtureRequest, make_bench: Callable[[str], Bench], tmp_path: Path
) -> Iterator[Any]:
    """Every board, started."""
    if request.param != "unix":
        yield make_bench(request.param).board()
        return
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    with socket.socket(socket.AF_UNIX) as rig:
        rig.bind(str(tmp_path / "afe"))
        rig.listen(1)
        monkeypatch.setenv("CELLKEEPER_AFE", f"unix:{tmp_path / 'afe'}")
        monkeypatch.setenv("CELLKEEPER_NVM", str(tmp_path / "nvm"))
        monkeypatch.setenv("CELLKEEPER_BROKER", "")
        made = load("unix").Board()
        yield made
        made._stream._file.close()
        made._stream._sock.close()
        made.nvm._file.close()


@pytest.fixture(params=MACHINE_BOARDS)
def bench(request: pytest.FixtureRequest, make_bench: Callable[[str], Bench]) -> Bench:
    """Every board on MicroPython's `machine`, on its bench."""
    return make_bench(request.param)


# ---- every board


def test_offers_all_that_the_contract_names(board: Any) -> None:
    for name in ("read", "write", "errors", "take_utc_ms"):
        assert callable(getattr(board.afe, name))
    for name in ("open", "readinto", "write", "close"):
        assert callable(getattr(board.link, name))
    assert board.safety_timer in ("hard", "scheduled")
    assert board.observer in (None, observer)
    assert isinstance(board.machine, str)
    assert board.machine
    assert board.watchdog.feed() is None, "feeding before start must do nothing"


def test_nvm_follows_a_model_of_nor_flash(board: Any) -> None:
    nvm, chance = board.nvm, random.Random(11)  # noqa: S311
    for sector in range(3):
        nvm.erase(sector * SECTOR)
    model = bytearray(b"\xff" * 3 * SECTOR)
    for _ in range(200):
        if chance.random() < 0.1:
            at = chance.randrange(3) * SECTOR
            nvm.erase(at)
            model[at : at + SECTOR] = b"\xff" * SECTOR
        else:
            at = chance.randrange(len(model))
            n = min(chance.randint(1, PAGE), PAGE - at % PAGE)
            data = bytes(chance.randrange(256) & old for old in model[at : at + n])
            nvm.program(at, data)
            model[at : at + n] = data
    found = bytearray(len(model))
    nvm.read(0, found)
    assert found == model


def test_nvm_refuses_to_set_bits_and_changes_nothing_then(board: Any) -> None:
    nvm, found = board.nvm, bytearray(3)
    nvm.erase(0)
    nvm.program(4, b"\xff\x0f\xff")
    with pytest.raises(ValueError, match="nvm"):
        nvm.program(4, b"\x00\x10\x00")
    nvm.read(4, found)
    assert found == b"\xff\x0f\xff"


@pytest.mark.parametrize(("at", "n"), [(PAGE - 1, 2), (0, PAGE + 1), (-1, 1)])
def test_nvm_refuses_a_program_across_pages_or_outside(board: Any, at: int, n: int) -> None:
    board.nvm.erase(0)
    with pytest.raises(ValueError, match="nvm"):
        board.nvm.program(at, bytes(n))


def test_nvm_refuses_what_lies_behind_its_end(board: Any) -> None:
    end = board.nvm.size
    assert end % SECTOR == 0
    for act in (
        lambda: board.nvm.program(end, b"\x00"),
        lambda: board.nvm.erase(end),
        lambda: board.nvm.read(end - 1, bytearray(2)),
    ):
        with pytest.raises(ValueError, match="nvm"):
            act()


def test_nvm_refuses_an_erase_inside_a_sector(board: Any) -> None:
    with pytest.raises(ValueError, match="nvm"):
        board.nvm.erase(PAGE)


def test_identity_and_boot_counter_live_in_the_nvm(board: Any) -> None:
    fields: dict[str, object] = {
        "tenant": "t", "site": "s", "pack": "p-1", "chemistry": 0, "series": 12, "temps": 4,
        "capacity_mah": 3000,
    }  # fmt: skip
    identity.write(board.nvm, fields)
    assert identity.load(board.nvm).pack == "p-1"
    for sector in (1, 2):
        board.nvm.erase(sector * SECTOR)
    assert [boots.count_boot(board.nvm) for _ in range(3)] == [1, 2, 3]


def test_link_without_a_broker_stays_closed_and_does_not_wait(board: Any) -> None:
    if board.name == "mps2_an500":
        assert board.link.open() is True, "the emulated line is always open"
        return
    assert [board.link.open() for _ in range(5)] == [False] * 5
    board.link.close()


# ---- boards on `machine`


def test_gates_are_off_until_they_are_set(bench: Bench) -> None:
    bench.board()
    assert len(bench.chip.pins) == 4
    assert {pin.level for pin in bench.chip.pins.values()} == {0}


@pytest.mark.parametrize("bits", range(8))
def test_each_gate_bit_is_its_pin(bench: Bench, bits: int) -> None:
    board, pins = bench.board(), bench.chip.pins
    board.gate.set(7 & ~bits)
    board.gate.set(bits)
    names = {
        bench.module.PIN_NEGATIVE: GATE_NEGATIVE,
        bench.module.PIN_PRECHARGE: GATE_PRECHARGE,
        bench.module.PIN_POSITIVE: GATE_POSITIVE,
    }
    for name, bit in names.items():
        assert pins[name].level == (1 if bits & bit else 0)


def test_dead_man_has_an_edge_at_every_tick_and_none_without(bench: Bench) -> None:
    board, chip = bench.board(), bench.chip

    def tick(_: object) -> None:
        board.gate.set(GATE_NEGATIVE)

    board.start_safety_timer(tick, 5)
    chip.advance(1000)
    edges = chip.pins[bench.module.PIN_DEADMAN].edges_ms
    assert len(edges) == 200
    assert {b - a for a, b in itertools.pairwise(edges)} == {5}
    chip.timers.clear()  # the tick dies
    chip.advance(200)
    assert chip.now_ms - edges[-1] >= 200


def test_clock_goes_on_across_the_wrap_of_the_ticks(bench: Bench) -> None:
    board, chip = bench.board(), bench.chip
    ticks: list[int] = []
    seen: list[int] = []

    def tick(_: object) -> None:
        ticks.append(board.clock.elapsed_ms())

    board.start_safety_timer(tick, 5)
    before = chip.ticks_ms()
    for _ in range(20):
        chip.advance(100)
        seen.append(board.clock.ms())
    assert chip.ticks_ms() < before, "the test must cross the wrap"
    assert seen == [100 * (i + 1) for i in range(20)]
    assert sum(ticks) == 2000


def test_watchdog_resets_unless_it_is_fed_and_can_be_given_time(bench: Bench) -> None:
    board, chip = bench.board(), bench.chip
    board.watchdog.relax()  # before start: nothing to relax
    board.watchdog.start(1000)
    for _ in range(5):
        chip.advance(900)
        board.watchdog.feed()
    assert not chip.was_reset
    board.watchdog.relax()
    chip.advance(60_000)
    assert not chip.was_reset
    board.watchdog.start(1000)
    chip.advance(1001)
    assert chip.was_reset


def test_frames_go_through_the_uart_in_both_directions(bench: Bench) -> None:
    board, chip = bench.board(), bench.chip
    (uart,) = chip.uarts.values()
    assert uart.baudrate == 921_600
    writer = frame.Writer()
    struct.pack_into(frame.FAST_FORMAT, writer.raw, frame.HEADER, -1500, 44_000, 43_900, 5, 0)
    n = writer.finish(frame.FAST, 0, 0, 14)
    sample = Sample(12, 4)
    uart.received += writer.wire[: n - 3]
    board.afe.read(sample)
    assert sample.seq[0] == 0, "half a frame is none"
    uart.received += writer.wire[n - 3 : n]
    board.afe.read(sample)
    assert (sample.current_ma, sample.fast[1], sample.seq[0]) == (-1500, 44_000, 1)
    board.afe.write(Command(), 1, 0)
    reader = frame.Reader()
    assert reader.feed(bytes(uart.sent), 0, len(uart.sent)) == len(uart.sent)
    assert reader.kind == frame.ACTUATE


def test_lock_step_is_refused(bench: Bench) -> None:
    board = bench.board()
    board.afe.lockstep = True
    with pytest.raises(RuntimeError, match="free mode"):
        board.afe.read(Sample(12, 4))


def test_random_numbers_are_32_bits_and_differ(bench: Bench) -> None:
    board = bench.board()
    values = [board.random_u32() for _ in range(64)]
    assert all(0 <= value < 1 << 32 for value in values)
    assert len(set(values)) > 60
    assert max(values) > 1 << 28


@pytest.mark.parametrize(("cause", "text"), [(1, "power-on"), (3, "watchdog"), (5, "soft"), (77, "unknown")])
def test_reset_cause_in_words(bench: Bench, cause: int, text: str) -> None:
    bench.chip.reset_cause = cause
    assert bench.board().reset_cause() == text


def test_reset_starts_the_controller_anew(bench: Bench) -> None:
    bench.board().reset()
    assert bench.chip.was_reset


def test_idle_lets_time_pass_but_not_much(bench: Bench) -> None:
    board, before = bench.board(), bench.chip.now_ms
    board.idle()
    assert 1 <= bench.chip.now_ms - before <= 2


def test_esp32_without_the_nvm_partition_says_what_to_do(make_bench: Callable[[str], Bench]) -> None:
    bench = make_bench("esp32")
    sys.modules["esp32"].Partition.missing = True
    with pytest.raises(OSError, match="make flash"):
        bench.board()


# ---- the link of the boards on `machine`, over real sockets


@pytest.fixture
def broker() -> Iterator[socket.socket]:
    """A listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        yield listener


def settings(port: int, host: str = "127.0.0.1") -> str:
    return (
        '{"wifi": {"ssid": "cellar", "password": "open sesame"},'
        f' "broker": {{"host": "{host}", "port": {port}, "tls": false}}}}'
    )


def opened(board: Any) -> bool:
    for _ in range(2000):
        if board.link.open():
            return True
        select.select([], [], [], 0.001)
    return False


def test_link_carries_bytes_both_ways_and_sees_the_hang_up(bench: Bench, broker: socket.socket) -> None:
    (bench.root / "network.json").write_text(settings(broker.getsockname()[1]))
    board = bench.board()
    assert board.link.open() is False
    assert board.link.why == "waits for the network"
    bench.chip.network_up = True
    assert opened(board), board.link.why
    peer, _ = broker.accept()
    buf = bytearray(16)
    assert board.link.readinto(buf) == 0
    assert board.link.write(bytearray(b"CONNECT and more"), 7) == 7
    assert peer.recv(100) == b"CONNECT"
    peer.sendall(b"CONNACK")
    select.select([board.link._sock], [], [], 5)
    assert board.link.readinto(buf) == 7
    assert buf[:7] == b"CONNACK"
    peer.close()
    select.select([board.link._sock], [], [], 5)
    assert board.link.readinto(buf) == -1
    board.link.close()
    assert opened(board), "it must open anew"
    broker.accept()[0].close()
    board.link.close()


def test_link_takes_no_more_than_the_line_does(bench: Bench, broker: socket.socket) -> None:
    (bench.root / "network.json").write_text(settings(broker.getsockname()[1]))
    bench.chip.network_up = True
    board = bench.board()
    assert opened(board)
    peer, _ = broker.accept()
    chunk, taken = bytearray(65536), 0
    for _ in range(1000):
        n = board.link.write(chunk, len(chunk))
        assert n >= 0
        taken += n
        if n == 0:
            break
    else:
        pytest.fail("a broker that reads nothing must make the line full")
    assert taken > 0
    peer.close()
    board.link.close()


def test_link_is_told_when_nobody_listens(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (bench.root / "network.json").write_text(settings(port))
    bench.chip.network_up = True
    board = bench.board()
    reasons: set[str] = set()
    for _ in range(200):
        assert board.link.open() is False
        reasons.add(board.link.why)
    assert any("refused" in reason for reason in reasons), reasons


def test_link_gives_an_attempt_up_and_starts_over(bench: Bench) -> None:
    (bench.root / "network.json").write_text(settings(1883))
    board = bench.board()
    board.link.open()
    bench.chip.advance(15_001)
    assert board.link.open() is False
    assert board.link.why == "waits for the network, and no longer"
    assert board.link.open() is False
    assert board.link.why == "waits for the network"


def test_wifi_is_joined_at_start_and_lan_needs_no_credentials(bench: Bench, broker: socket.socket) -> None:
    (bench.root / "network.json").write_text(settings(broker.getsockname()[1]))
    bench.board()
    calls = bench.chip.network_calls
    if bench.name == "mimxrt1060_evk":
        assert calls == [("LAN",), ("active", True)]
    else:
        assert calls == [("WLAN",), ("active", True), ("connect", "cellar", "open sesame")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "network.json is missing"),
        ("{", "not JSON"),
        ("[]", "it must be an object"),
        ('{"wifi": {"ssid": "x", "password": "y"}}', "no broker section"),
        ('{"wifi": {"ssid": "", "password": "y"}, "broker": {"host": "h"}}', "wifi.ssid is ''"),
        ('{"wifi": {"ssid": "x", "password": "y"}, "broker": {"host": 5}}', "broker.host is 5"),
        ('{"wifi": {"ssid": "x", "password": "y"}, "broker": {"host": "h", "port": 0}}', "broker.port is 0"),
        ('{"wifi": {"ssid": "x", "password": "y"}, "broker": {"host": "h", "tls": 1}}', "broker.tls is 1"),
    ],
)
def test_a_wrong_network_file_is_named_and_the_board_still_starts(
    bench: Bench, text: str | None, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (bench.root / "network.json").write_text(text)
    board = bench.board()
    assert reason in board.link.why
    assert reason in capsys.readouterr().out
    assert board.link.open() is False


def test_tls_without_an_authority_is_refused(bench: Bench, broker: socket.socket) -> None:
    text = settings(broker.getsockname()[1]).replace("false", "true")
    (bench.root / "network.json").write_text(text)
    bench.chip.network_up = True
    import sys
    import types

    sys.modules["tls"] = types.ModuleType("tls")
    try:
        board = bench.board()
        for _ in range(1000):
            assert board.link.open() is False
            if "cert/ca.der is missing" in board.link.why:
                break
            select.select([], [], [], 0.001)
        else:
            pytest.fail(board.link.why)
    finally:
        del sys.modules["tls"]


def test_broker_is_found_by_name(
    make_bench: Callable[[str], Bench], broker: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench("esp32")
    (bench.root / "network.json").write_text(settings(broker.getsockname()[1], "broker.example"))
    bench.chip.network_up = True
    board = bench.board()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        port = server.getsockname()[1]
        import hal.net

        real = hal.net.Lookup

        def lookup(name: str, dns: str) -> hal.net.Lookup:
            return real(name, dns, port)

        monkeypatch.setattr(hal.net, "Lookup", lookup)

        def serve() -> None:
            query, client = server.recvfrom(512)
            assert b"\x06broker\x07example\x00" in query
            server.sendto(b"no such answer", client)
            record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01"
            server.sendto(
                query[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + query[12:] + record, client
            )

        thread = threading.Thread(target=serve)
        thread.start()
        assert opened(board), board.link.why
        thread.join()
    broker.accept()[0].close()
    board.link.close()
