"""Identity and boot counter over NOR rules, power cuts included."""

from bms.memory import boots, identity
from bms.memory.layout import BOOT_COUNTER, SECTOR, STATE

WHO: "dict[str, object]" = {
    "tenant": "demo", "site": "yard", "pack": "p1",
    "chemistry": 0, "series": 12, "temps": 4, "capacity_mah": 2780,
}  # fmt: skip


class PowerCut(Exception):
    pass


class Nor:
    """NOR rules in RAM; after `budget` bytes the power goes."""

    size = STATE

    def __init__(self) -> None:
        self.data = bytearray(b"\xff" * STATE)
        self.budget = -1

    def _spend(self) -> None:
        if self.budget == 0:
            raise PowerCut
        self.budget -= 1

    def read(self, addr: int, buf: bytearray) -> None:
        buf[:] = self.data[addr : addr + len(buf)]

    def program(self, addr: int, data: "bytes | bytearray") -> None:
        assert addr % 256 + len(data) <= 256
        for i in range(len(data)):
            self._spend()
            assert data[i] & ~self.data[addr + i] & 0xFF == 0, "sets a bit"
            self.data[addr + i] = data[i]

    def erase(self, addr: int) -> None:
        assert addr % SECTOR == 0
        self._spend()
        self.data[addr : addr + SECTOR] = b"\xff" * SECTOR


def refused(fields: "dict[str, object]") -> str:
    try:
        identity.image(fields)
    except identity.IdentityError as error:
        return str(error)
    raise AssertionError("taken: %r" % (fields,))


def test_identity_round_trip():
    nvm = Nor()
    identity.write(nvm, dict(WHO, user="p1", password="s3cret"))
    who = identity.load(nvm)
    assert (who.tenant, who.site, who.pack) == ("demo", "yard", "p1")
    assert (who.series, who.temps, who.capacity_mah, who.chemistry) == (12, 4, 2780, 0)
    assert (who.user, who.password) == ("p1", "s3cret")
    identity.write(nvm, WHO)
    assert identity.load(nvm).user is None


def test_an_empty_or_broken_identity_says_so():
    nvm = Nor()
    for byte, word in ((None, "none in NVM"), (20, "CRC")):
        if byte is not None:
            identity.write(nvm, WHO)
            nvm.data[byte] ^= 1
        try:
            identity.load(nvm)
        except identity.IdentityError as error:
            assert word in str(error)
        else:
            raise AssertionError("believed")


def test_every_wrong_field_is_named():
    for name, value in (
        ("tenant", ""), ("site", "a/b"), ("pack", "p#1"), ("pack", "p 1"), ("series", 0), ("series", 97),
        ("temps", True), ("chemistry", 9), ("capacity_mah", "big"), ("user", 5), ("color", "red"),
    ):  # fmt: skip
        fields = dict(WHO)
        fields[name] = value
        assert name in refused(fields), name


def test_boots_count_up_through_both_sectors():
    nvm = Nor()
    for n in range(1, 20):
        assert boots.count_boot(nvm) == n


def test_the_second_sector_takes_over_when_the_first_is_full():
    nvm = Nor()
    for slot in range(SECTOR // 8):
        boots.program(nvm, BOOT_COUNTER + slot * 8, slot + 1)
    assert boots.count_boot(nvm) == SECTOR // 8 + 1
    assert boots.count_boot(nvm) == SECTOR // 8 + 2
    assert nvm.data[BOOT_COUNTER + SECTOR] != 0xFF


def test_a_power_cut_anywhere_never_repeats_a_boot():
    for budget in range(9):
        nvm = Nor()
        last = 0
        for _ in range(3):
            last = boots.count_boot(nvm)
        nvm.budget = budget
        try:
            last = boots.count_boot(nvm)
        except PowerCut:
            pass
        nvm.budget = -1
        assert boots.count_boot(nvm) > last
