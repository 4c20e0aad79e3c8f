"""What a board has where the rig stands at the other end of its AFE link."""


class Gate:
    """The gates are at the rig's end: an ACTUATE frame carries them and is their dead-man."""

    def __init__(self) -> None:
        self.bits = 0

    def set(self, bits: int) -> None:
        """Command the gates (GATE_* bits) and refresh the dead-man."""
        self.bits = bits
