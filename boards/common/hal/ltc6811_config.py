"""Finding, configuring and checking a chain of LTC6811-1 (data sheet rev. C, tables 38 and 51)."""

import time

from bms.fixed import get_u16
from hal import ltc6811_chain as wire
from hal.chip import AfeError, step_above, step_below, within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ltc6811_chain import Chain

NAME = "ltc6811"
MAX_CELLS = 12

_CELL_READS = (wire.RDCVA, wire.RDCVB, wire.RDCVC, wire.RDCVD)
_START_TRIES = 10
_TRIES = 3
"""Checks in a row with a wrong configuration after which the chain is refused."""


class Config:
    """The configuration groups of a chain.

    `trusted`: the chips hold what was written last; `refused`: they do not keep it; `resets` counts
    how often they had lost it.
    """

    def __init__(self, chain: "Chain") -> None:
        self._chain = chain
        self._bytes = bytearray(wire.GROUP * chain.n)
        self._wrong = 0
        self._at = 0
        self._found = 0
        self.resets = 0
        self.trusted = False
        self.refused = False

    def program(self, limits: "dict[str, int]") -> None:
        """Take these; `trusted` once they are written and read back. AfeError when they do not fit."""
        uv = step_below(limits["cell_uv_mv"] * 10, 16) - 1
        ov = step_above(limits["cell_ov_mv"] * 10, 16)
        within(NAME, "VUV", uv, 0, 0xFFF, "steps of 1.6 mV")
        within(NAME, "VOV", ov, 0, 0xFFF, "steps of 1.6 mV")
        for at in range(0, len(self._bytes), wire.GROUP):
            self._bytes[at] = 0xFC  # GPIOs are inputs, REFON
            self._bytes[at + 1] = uv & 0xFF
            self._bytes[at + 2] = (ov & 0xF) << 4 | uv >> 8
            self._bytes[at + 3] = ov >> 4
        self._wrong = 0
        self.refused = False
        self.trusted = False

    def balance(self, chip: int, mask: int) -> None:
        """Discharge switches of a chip, bit = cell, from the next `write` on."""
        self._bytes[wire.GROUP * chip + 4] = mask & 0xFF
        self._bytes[wire.GROUP * chip + 5] = mask >> 8

    def write(self) -> None:
        """Send it to the chips."""
        self._chain.configure(self._bytes)

    def check(self) -> None:
        """Read it back. After a brown-out, or 2 s without us, the chips hold their defaults."""
        chain = self._chain
        if not chain.read(wire.RDCFGA):
            return
        for at in range(len(self._bytes)):
            register = at % wire.GROUP
            if register >= 4:
                continue  # balancing may have been commanded anew since
            mask = 0x05 if register == 0 else 0xFF  # GPIO bits read as the pins' levels
            if (chain.data[at] ^ self._bytes[at]) & mask:
                self._at = at
                self._found = chain.data[at]
                self._mismatch()
                return
        self._wrong = 0
        self.trusted = True

    def _mismatch(self) -> None:
        if self.trusted:
            self.resets += 1
        self.trusted = False
        self._wrong += 1
        self.refused = self._wrong >= _TRIES

    def refusal(self) -> str:
        """Why the chain is refused, in words; empty while it is not."""
        if not self.refused:
            return ""
        return "ltc6811: register CFGR%d of chip %d: written 0x%02x, read back 0x%02x, %d times" % (
            self._at % wire.GROUP,
            self._at // wire.GROUP + 1,
            self._bytes[self._at],
            self._found,
            self._wrong,
        )

    def start(self) -> None:
        """Find, program and check the chain; takes about 0.1 s. AfeError when it is refused."""
        chain = self._chain
        chain.wake()
        time.sleep_ms(1)  # from SLEEP
        for _ in range(10):
            chain.wake()
            if chain.read(wire.RDCFGA):
                break
            time.sleep_ms(5)
        else:
            raise AfeError(
                "ltc6811: no chain of %d answers with a right PEC; check SPI, isoSPI and the chips' supply"
                % chain.n
            )
        if chain.longer():
            raise AfeError("ltc6811: more chips answer than the %d that were named" % chain.n)
        self._self_test()
        for _ in range(_START_TRIES):
            chain.wake()
            self.write()
            time.sleep_ms(5)  # for the reference, too
            chain.wake()
            self.check()
            if self.refused:
                raise AfeError(self.refusal())
            if self.trusted:
                return
        raise AfeError("ltc6811: wrong PEC each time the configuration is read back; check SPI and isoSPI")

    def _self_test(self) -> None:
        chain = self._chain
        chain.order(wire.CVST)
        time.sleep_ms(8)
        chain.wake()
        for code in _CELL_READS:
            if not chain.read(code):
                raise AfeError("ltc6811: wrong PEC in the self test; check SPI and isoSPI")
            for at in range(0, len(chain.data), 2):
                found = get_u16(chain.data, at)
                if found != wire.SELF_TEST:
                    raise AfeError(
                        "ltc6811: self test of chip %d reads 0x%04x, it must be 0x%04x: wrong or broken"
                        % (at // wire.GROUP + 1, found, wire.SELF_TEST)
                    )
