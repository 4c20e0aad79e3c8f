"""The limiters' table: maps that name real parameters and run the right way for every chemistry."""

from bms.tables.limiters import CHARGE, DISCHARGE, FALLING, LIMITERS, MAPS
from bms.tables.params import CHEMISTRIES, defaults


def test_maps_name_a_side_a_limiter_and_parameters():
    names = defaults(0)
    for side, limiter, _, begin, end, floor, trip in MAPS:
        assert side in (CHARGE, DISCHARGE)
        assert LIMITERS[limiter].id == limiter
        for name in (begin, end, floor, trip):
            assert name == "" or name in names, name


def test_a_map_falls_towards_danger_and_ends_inside_of_its_protection():
    for chemistry in range(len(CHEMISTRIES)):
        limits = defaults(chemistry)
        for _, _, signal, begin, end, _, trip in MAPS:
            sign = -1 if signal in FALLING else 1
            assert sign * limits[begin] < sign * limits[end], (chemistry, begin)
            if trip:
                assert sign * limits[end] <= sign * limits[trip], (chemistry, end)
