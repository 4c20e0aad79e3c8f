"""The journal over NOR rules: what is stored, carried, torn, damaged, refused and worn."""

import micropython
from array import array

from bms.memory import crc, trips
from bms.memory.journal import Journal
from bms.memory.kinds import (
    BLACKBOX_KINDS, BOOT, CHARGE, COUNTERS, FORGIVE, FRAME, LATCHED, STATE_KINDS, TRIP, Kind,
)  # fmt: skip
from bms.memory.layout import PAGE, SECTOR
from bms.memory.records import Records
from ram_nor import Nor, PowerCut


def drain(journal: Journal) -> int:
    """Step until nothing is left to do; returns how many steps it took."""
    for n in range(200):
        if not journal.step():
            return n
    raise AssertionError("never done")


def put(journal: Journal, kind: int, payload: bytes) -> None:
    assert journal.append(kind, payload, len(payload))
    drain(journal)
    assert not journal.waiting(kind)


def all_records(nor: Nor) -> "list[tuple[int, int, bytes]]":
    return list(trips.records(nor, 0, nor.size // SECTOR))


def in_use(nor: Nor) -> int:
    """Address of the first record of the first sector, whatever it is."""
    assert nor.data[16 + 1] == 0xCB
    return 16


def test_crc_32():
    out = array("H", [0, 0])
    data = b"-123456789"
    for compute in (crc.crc32, crc.portable_crc32):
        compute(data, 1, 9, out)
        assert (out[1], out[0]) == (0xCBF4, 0x3926)
        for n in range(10):
            crc.crc32(data, 0, n, out)
            before = (out[0], out[1])
            crc.portable_crc32(data, 0, n, out)
            assert before == (out[0], out[1])
    sealed = bytearray(b"....abc")
    crc.seal(sealed, 4, 3)
    assert crc.sealed(sealed, 4, 3)
    for i in range(7):
        sealed[i] ^= 0x10
        assert not crc.sealed(sealed, 4, 3)
        sealed[i] ^= 0x10


def test_copies_and_the_search_for_what_is_used():
    source = b"abc\xffde\xff\xff"
    for copy in (crc.copy8, crc.portable_copy8):
        to = bytearray(6)
        copy(to, 1, source, 2, 4)
        copy(to, 0, source, 0, 0)
        assert to == b"\0c\xffde\0"
    for used in (crc.used, crc.portable_used):
        assert [used(bytearray(source), at, 8) for at in range(9)] == [6, 6, 6, 6, 6, 6, 6, 7, 8]


def test_what_is_stored_is_there_after_a_reboot():
    nor = Nor(3)
    journal = Journal(nor, 0, 3)
    assert journal.blank and journal.damaged == 0
    assert journal.last(LATCHED) is None
    put(journal, LATCHED, b"one")
    put(journal, CHARGE, b"")
    put(journal, LATCHED, b"two")
    assert journal.committed == 3
    again = Journal(nor, 0, 3)
    assert not again.blank and again.damaged == 0
    assert again.last(LATCHED) == b"two"
    assert again.last(CHARGE) == b""
    assert again.last(COUNTERS) is None
    assert [record[2] for record in all_records(nor)] == [b"one", b"", b"two"]
    assert [record[1] for record in all_records(nor)] == [1, 2, 3]


def test_only_the_area_given_is_touched():
    nor = Nor(5)
    journal = Journal(nor, 1, 3)
    for _ in range(120):
        put(journal, CHARGE, bytes(100))
    assert nor.erases[0] == 0 and nor.erases[4] == 0 and min(nor.erases[1:4]) > 0
    assert bytes(nor.data[:SECTOR]) == b"\xff" * SECTOR


def test_every_rotation_keeps_the_newest_of_every_state():
    for n_sectors in (2, 3):
        nor = Nor(n_sectors)
        journal = Journal(nor, 0, n_sectors)
        put(journal, LATCHED, b"latched")
        put(journal, COUNTERS, b"\xff\xff\xff\xff" * 8)
        put(journal, BOOT, b"")
        for n in range(100):
            payload = bytes([n]) * 120
            put(journal, CHARGE, payload)
            if n % 7 == 0:
                journal = Journal(nor, 0, n_sectors)
                assert journal.damaged == 0
            assert journal.last(LATCHED) == b"latched", n
            assert journal.last(COUNTERS) == b"\xff\xff\xff\xff" * 8
            assert journal.last(BOOT) == b""
            assert journal.last(CHARGE) == payload
        assert max(nor.erases) - min(nor.erases) <= 1 and min(nor.erases) >= 2
        assert journal.failed == 0


def test_a_log_keeps_every_record_until_the_ring_comes_round():
    nor = Nor(3)
    put(Journal(nor, 0, 3), CHARGE, b"of a kind that this journal does not have")
    journal = Journal(nor, 0, 3, BLACKBOX_KINDS)
    walk = Records()
    seen: "list[int]" = []
    for n in range(200):
        put(journal, FRAME, bytes([n]) * 50)
        journal.rewind(walk)
        seen.clear()
        while walk.next():
            if walk.kind == CHARGE:
                continue
            assert walk.kind == FRAME and walk.n == 50
            seen.append(walk.page[walk.at])
        assert seen == list(range(n + 1 - len(seen), n + 1)), n
        assert not walk.next()
    assert 60 <= len(seen) < 200
    assert [record[2][0] for record in all_records(nor)] == seen
    assert journal.last(TRIP) is None


def test_a_state_replaces_what_waits_and_a_log_refuses():
    journal = Journal(Nor(2), 0, 2)
    assert journal.append(CHARGE, b"old", 3) and journal.append(CHARGE, b"newer", 5)
    drain(journal)
    assert journal.last(CHARGE) == b"newer" and journal.committed == 1
    box = Journal(Nor(2), 0, 2, BLACKBOX_KINDS)
    assert box.append(TRIP, b"a", 1)
    assert not box.append(TRIP, b"b", 1) and box.refused == 1
    drain(box)
    assert box.last(TRIP) == b"a" and box.append(TRIP, b"c", 1)


def test_a_change_while_its_kind_is_being_written_comes_after_it():
    nor = Nor(2)
    journal = Journal(nor, 0, 2)
    put(journal, LATCHED, b"1")
    journal.append(LATCHED, b"2", 1)
    assert journal.step()  # all but the mark
    assert Journal(nor, 0, 2).last(LATCHED) == b"1"
    journal.append(LATCHED, b"3", 1)
    assert journal.step()
    assert journal.waiting(LATCHED)
    assert Journal(nor, 0, 2).last(LATCHED) == b"2"
    drain(journal)
    assert Journal(nor, 0, 2).last(LATCHED) == b"3"


def full_sector(journal: Journal, nor: Nor) -> None:
    """Until the sector in use has no room for another charge record."""
    before = sum(nor.erases)
    for _ in range(40):
        put(journal, CHARGE, bytes(120))
        if sum(nor.erases) > before:
            break
    for _ in range(14):
        put(journal, CHARGE, bytes(120))


def test_latched_faults_come_first_and_do_not_wait_for_an_erase():
    nor = Nor(3)
    journal = Journal(nor, 0, 3)
    full_sector(journal, nor)
    before = sum(nor.erases)
    journal.append(CHARGE, bytes(120), 120)
    journal.append(LATCHED, b"trip", 4)
    steps = 0
    while journal.waiting(LATCHED):
        journal.step()
        steps += 1
    assert steps == 2
    for _ in range(20):  # into the next sector; what is urgent goes before carrying and erasing
        journal.append(CHARGE, bytes(120), 120)
        journal.append(LATCHED, b"more", 4)
        for _ in range(3):  # the mark of what was begun, the record, its mark
            journal.step()
        assert not journal.waiting(LATCHED)
        if sum(nor.erases) > before:
            break
        journal.step()
    assert Journal(nor, 0, 3).last(LATCHED) == b"more"


def test_an_erase_waits_for_a_quiet_moment_while_there_is_room():
    nor = Nor(3)
    journal = Journal(nor, 0, 3)
    full_sector(journal, nor)
    before = sum(nor.erases)
    stored = 0
    for _ in range(16):
        journal.append(CHARGE, bytes(120), 120)
        while journal.step(False):
            pass
        if sum(nor.erases) == before:
            stored += 1
    assert stored >= 14
    for _ in range(16):  # no room any more: then it must be
        journal.append(CHARGE, bytes(120), 120)
        while journal.step(False):
            pass
    assert sum(nor.erases) > before and journal.committed > 0


def test_a_power_cut_leaves_the_old_or_the_new():
    seen: "set[bytes | None]" = set()
    for budget in range(0, 230, 3):
        nor = Nor(2)
        journal = Journal(nor, 0, 2)
        put(journal, LATCHED, b"before")
        nor.budget = budget
        journal.append(LATCHED, b"after!", 6)
        try:
            drain(journal)
        except PowerCut:
            pass
        nor.reboot()
        journal = Journal(nor, 0, 2)
        assert journal.damaged == 0
        seen.add(journal.last(LATCHED))
        put(journal, CHARGE, b"goes on")
        put(journal, LATCHED, b"later")
        journal = Journal(nor, 0, 2)
        assert journal.last(LATCHED) == b"later" and journal.last(CHARGE) == b"goes on"
    assert seen == {b"before", b"after!"}


def test_a_power_cut_at_every_operation_of_a_rotation():
    for budget in range(0, 24_000, 1501):
        nor = Nor(2)
        journal = Journal(nor, 0, 2)
        put(journal, LATCHED, b"keep")
        put(journal, BOOT, b"b")
        full_sector(journal, nor)
        nor.budget = budget
        try:
            for _ in range(4):
                put(journal, CHARGE, bytes(120))
        except PowerCut:
            nor.reboot()
        nor.budget = -1
        journal = Journal(nor, 0, 2)
        assert journal.damaged == 0
        assert journal.last(LATCHED) == b"keep" and journal.last(BOOT) == b"b"
        for _ in range(20):
            put(journal, CHARGE, bytes(120))
        assert Journal(nor, 0, 2).last(LATCHED) == b"keep"


def test_a_record_begun_again_and_again_does_not_use_up_its_page():
    nor = Nor(2)
    put(Journal(nor, 0, 2), LATCHED, b"first")
    for _ in range(60):
        journal = Journal(nor, 0, 2)
        journal.append(LATCHED, b"never", 5)
        nor.budget = 20
        try:
            drain(journal)
            raise AssertionError("no cut")
        except PowerCut:
            nor.reboot()
    assert sum(nor.erases) == 2
    journal = Journal(nor, 0, 2)
    assert journal.last(LATCHED) == b"first" and journal.damaged == 0
    put(journal, LATCHED, b"second")
    assert Journal(nor, 0, 2).last(LATCHED) == b"second"


def test_a_cut_in_an_erase_is_survived_whatever_it_leaves():
    for garbage in (0x00, 0x5A, 0xFF):
        nor = Nor(3)
        journal = Journal(nor, 0, 3)
        put(journal, LATCHED, b"keep")
        while nor.erases[0] < 2:
            journal.append(CHARGE, bytes(120), 120)
            while journal.step() and nor.erases[0] < 2:
                pass
        for i in range(SECTOR):
            nor.data[i] &= garbage | i & 0xFF
        journal = Journal(nor, 0, 3)
        assert journal.damaged == 0 and journal.last(LATCHED) == b"keep"
        for _ in range(60):
            put(journal, CHARGE, bytes(120))
        assert journal.last(LATCHED) == b"keep"


def test_a_head_cut_off_behind_its_magic_is_no_head():
    nor = Nor(3)
    journal = Journal(nor, 0, 3)
    put(journal, LATCHED, b"keep")
    while nor.erases[2] == 0:  # until sector 1 is in use; sector 2 then gets its head
        put(journal, CHARGE, bytes(120))
    nor.data[2 * SECTOR : 2 * SECTOR + 16] = b"CKJ1" + b"\xff" * 12
    journal = Journal(nor, 0, 3)
    assert journal.damaged == 0 and journal.last(LATCHED) == b"keep"


def test_damage_is_told_from_a_torn_record_and_what_follows_is_still_found():
    for offset, damage in ((0, 0), (6, 1), (13, 1), (2, 1)):
        nor = Nor(2)
        journal = Journal(nor, 0, 2)
        put(journal, LATCHED, b"victim")
        put(journal, CHARGE, b"behind")
        nor.data[in_use(nor) + offset] ^= 0x04
        journal = Journal(nor, 0, 2)
        assert journal.damaged == damage, offset
        assert journal.last(LATCHED) == (None if damage else b"victim")
        assert journal.last(CHARGE) == b"behind"
    nor.data[in_use(nor) + 7] = 0xFF  # its length
    assert Journal(nor, 0, 2).damaged > 0


def test_a_damaged_head_and_a_foreign_area_are_told():
    nor = Nor(3)
    journal = Journal(nor, 0, 3)
    put(journal, LATCHED, b"x")
    for _ in range(20):
        put(journal, CHARGE, bytes(120))
    assert Journal(nor, 0, 3).damaged == 0
    nor.data[3] ^= 1
    assert Journal(nor, 0, 3).damaged == 1
    nor = Nor(3)
    for i in range(nor.size):
        nor.data[i] = i * 7 & 0xFF
    journal = Journal(nor, 0, 3)
    assert journal.damaged == 2 and journal.last(LATCHED) is None
    put(journal, FORGIVE, b"")
    put(journal, LATCHED, b"new")
    journal = Journal(nor, 0, 3)
    assert journal.damaged == 0 and journal.last(LATCHED) == b"new"
    for _ in range(50):
        put(journal, CHARGE, bytes(120))
    assert Journal(nor, 0, 3).last(LATCHED) == b"new"


def test_the_oldest_sector_s_head_counts_while_it_is_not_being_erased():
    nor = Nor(3)
    journal = Journal(nor, 0, 3)
    for _ in range(33):
        put(journal, CHARGE, bytes(120))
    while nor.erases[0] == 1:
        put(journal, CHARGE, bytes(120))
    oldest = SECTOR  # sector 0 waits, empty, for its first record
    assert bytes(nor.data[16:SECTOR]) == b"\xff" * (SECTOR - 16)
    nor.data[oldest] ^= 1
    assert Journal(nor, 0, 3).damaged == 1


def test_a_flash_that_fails_is_counted_and_passed_over():
    nor = Nor(3)
    journal = Journal(nor, 0, 3)
    put(journal, LATCHED, b"good")
    for i in range(PAGE):  # a page that cannot take ones: what is programmed does not read back
        nor.data[PAGE + i] = 0
    for n in range(8):
        put(journal, LATCHED, bytes([n]) * 12)
    assert journal.failed > 0
    assert Journal(nor, 0, 3).last(LATCHED) == bytes([7]) * 12
    nor.broken = True
    journal.append(LATCHED, b"late", 4)
    for _ in range(100):
        journal.step()
    assert journal.waiting(LATCHED) and journal.full and not journal.step()
    nor.broken = False
    assert Journal(nor, 0, 3).last(LATCHED) == bytes([7]) * 12


class Deaf(Nor):
    """Takes `deaf` programs as done and does nothing; refuses `refuse` of one byte."""

    def __init__(self, n_sectors: int) -> None:
        super().__init__(n_sectors)
        self.deaf = 0
        self.refuse = 0

    def program(self, addr: int, data: "bytes | bytearray") -> None:
        if self.refuse and len(data) == 1:
            self.refuse -= 1
            raise OSError(5)
        if self.deaf:
            self.deaf -= 1
            return
        super().program(addr, data)


def test_a_program_that_does_nothing_or_a_mark_refused_is_done_again():
    nor = Deaf(3)
    journal = Journal(nor, 0, 3)
    put(journal, LATCHED, b"a")
    nor.deaf = 2
    put(journal, LATCHED, b"b")
    assert journal.failed == 2
    nor.refuse = 2
    put(journal, LATCHED, b"c")
    assert journal.failed == 4
    assert Journal(nor, 0, 3).last(LATCHED) == b"c"


def test_a_mark_refused_of_a_record_that_is_carried():
    nor = Deaf(3)
    journal = Journal(nor, 0, 3)
    put(journal, LATCHED, b"keep")
    for _ in range(60):
        journal.append(CHARGE, bytes(120), 120)
        for _ in range(30):
            # while nothing waits, what is marked was carried
            nor.refuse = int(journal.failed == 0 and not journal.waiting(CHARGE))
            journal.step()
    assert journal.failed == 1
    journal = Journal(nor, 0, 3)
    assert journal.last(LATCHED) == b"keep" and journal.damaged == 0


def test_a_sector_with_no_room_to_carry_is_the_end_and_nothing_is_lost():
    nor = Deaf(2)
    journal = Journal(nor, 0, 2)
    put(journal, LATCHED, b"keep")
    full_sector(journal, nor)
    nor.deaf = 1000
    for _ in range(100):
        journal.append(CHARGE, bytes(120), 120)
        journal.step()
    assert journal.full
    nor.deaf = 0
    assert Journal(nor, 0, 2).last(LATCHED) == b"keep"


def test_what_cannot_be_is_refused():
    nor = Nor(2)
    wrong = (Kind(9, "big", 300, True, False, "too long for a page"),)
    for n_sectors, kinds, word in ((1, STATE_KINDS, "at least 2"), (2, wrong, "big")):
        try:
            Journal(nor, 0, n_sectors, kinds)
        except ValueError as error:
            assert word in str(error)
        else:
            raise AssertionError("taken")
    journal = Journal(nor, 0, 2)
    try:
        journal.append(LATCHED, bytes(13), 13)
        raise AssertionError("taken")
    except ValueError as error:
        assert "13 bytes for latched" in str(error)
    try:
        journal.append(TRIP, b"", 0)
        raise AssertionError("taken")
    except KeyError:
        pass


def test_nothing_allocates_after_construction():
    nor = Nor(3)
    journal = Journal(nor, 0, 3)
    walk = Records()
    payload = bytearray(120)
    put(journal, LATCHED, b"locked")
    micropython.heap_lock()
    try:
        count = 0
        for n in range(60):
            payload[0] = n
            journal.append(CHARGE, payload, 120)
            journal.append(LATCHED, payload, 9)
            while journal.step():
                pass
        journal.rewind(walk)
        while walk.next():
            count += 1
    finally:
        micropython.heap_unlock()
    assert count > 20 and max(nor.erases) > 1
    assert journal.last(CHARGE) == bytes(payload)
