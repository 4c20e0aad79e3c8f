"""The observer, loaded only by a board that makes one: its modules take heap, and flash in a set of .mpy."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bms.contract import Estimator
    from bms.memory.journal import Journal


def observer(
    limits: "dict[str, int]", n_cells: int, parts: "dict[int, bytearray]", journal: "Journal"
) -> "Estimator":
    """An Observer; for a Board's `observer`."""
    from bms.estimate.observer import Observer

    return Observer(limits, n_cells, parts, journal)
