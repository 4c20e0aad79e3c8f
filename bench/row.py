"""What a benchmark gives back."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One measured figure; `target` is what we aim at, in the same unit, where there is an aim."""

    name: str
    value: float
    unit: str
    note: str = ""
    target: str = ""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)
