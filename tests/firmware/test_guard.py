"""Flipped bits in the memory that protects: every one is caught before it can do harm."""

from bms.sample import TICK_MS
from bms.tables.faults import FAULTS
from bms.tables.signals import CLOSED
from rigless import String

ROW = {row.name: row for row in FAULTS}


def closed() -> String:
    string = String()
    assert string.until(lambda: string.kernel.contactor.state == CLOSED, 1000) > 0
    return string


def again(string: String) -> None:
    """Forget what was caught and close anew."""
    string.kernel.ask_reset()
    string.run(4)
    assert string.until(lambda: string.kernel.contactor.state == CLOSED, 2000) >= 0


def test_every_bit_of_the_state_opens_the_gates_in_the_next_tick():
    string = closed()
    memory = string.kernel.guard.memory
    n = len(memory)
    string.run(3)
    for at in range(n):
        # every bit of every byte would take minutes on a board: every byte, and every bit over eight of them
        events = string.kernel.monitor.events
        events.tail = events.head
        memory[at] ^= 1 << (at & 7)
        string.tick()
        assert string.gate.bits == 0, at
        assert events.head != events.tail, at
        assert events.fault[events.tail] == ROW["state_corrupt"].id, at
        if at % 24 == 0:
            again(string)
        else:
            string.run(3)


def test_every_byte_of_the_constants_opens_the_gates_in_time():
    string = closed()
    row = ROW["parameters_corrupt"]
    for part in string.kernel.guard.constants:
        for at in range(0, len(part), 61):
            part[at] ^= 1 << (at & 7)
            ticks = string.until(lambda: string.latched(row.id), row.max_reaction_ms // TICK_MS)
            assert ticks >= 0, at
            string.run(1)
            assert string.gate.bits == 0
            part[at] ^= 1 << (at & 7)
            again(string)


def test_what_the_tasks_write_is_no_flip():
    string = closed()
    string.kernel.contactor.wanted = False
    string.kernel.ask_reset()
    string.kernel.monitor.measure.put("nvm_corrupt", 0)
    string.run(50)
    assert not string.latched(ROW["state_corrupt"].id)


def test_restored_latches_are_no_flip():
    string = String()
    bitmap = bytearray(8)
    bitmap[ROW["contactor_welded"].id >> 3] = 1 << (ROW["contactor_welded"].id & 7)
    string.kernel.latch(bitmap)
    string.run(600)
    assert string.gate.bits == 0
    assert string.latched(ROW["contactor_welded"].id)
    assert not string.latched(ROW["state_corrupt"].id)


def test_a_flip_loses_no_latched_row():
    string = closed()
    string.cell_mv[0] = 4400
    assert string.until(lambda: string.gate.bits == 0, 20) >= 0
    row = ROW["cell_over_voltage"]
    for memory in (string.kernel.guard.memory, string.kernel.guard.kept):
        memory[len(memory) - 8 + (row.id >> 3)] ^= 1 << (row.id & 7)
        string.tick()
        assert string.latched(row.id)
        assert string.latched(ROW["state_corrupt"].id)
