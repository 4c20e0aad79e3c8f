"""What every estimator of the state of charge makes of its inputs."""

LEAST_MV = 500
MOST_MV = 6000
"""A cell's voltage outside of these was not measured."""
MOST_MAH = 0x3FFF
"""Times 2^16 it still is a small int of a 32-bit MicroPython."""


def scaled(capacity_mah: int) -> "tuple[int, int]":
    """Capacity of at most MOST_MAH, and by how many bits it and every current are shifted down for that.

    Raises ValueError for a capacity that is not above 0.
    """
    if capacity_mah <= 0:
        raise ValueError("capacity_mah is %d, it must be above 0" % capacity_mah)
    shift = 0
    while capacity_mah >> shift > MOST_MAH:
        shift += 1
    return capacity_mah >> shift, shift
