"""The desk's features are the device's, bit for bit."""

from array import array

import numpy as np
from bms import desk
from bms.estimate.lstm_features import Features

from cloud.training.features import SHIFTS, Samples, Window, beside, scaled, sources, unrounded, windows


def random_walk(seed: int, length: int) -> Samples:
    rng = np.random.default_rng(seed)
    v = np.clip(58_000 + np.cumsum(rng.integers(-900, 900, length)), 44_000, 67_200)
    v[rng.random(length) < 0.1] = 0
    v[0] = 60_000
    return Samples(
        rate=rng.integers(-20_000, 12_000, length),
        v=v,
        temp=rng.integers(-250, 450, length),
        soc=np.linspace(1, 0, length),
        rows=np.arange(length),
        seconds=np.arange(length),
    )


def test_desk_and_device_give_the_same_features() -> None:
    sequences = [random_walk(seed, 700 - 50 * seed) for seed in range(4)]
    lanes = beside(sequences)
    found = sources(lanes)
    rows = windows(found[lanes.measured])
    features = scaled(found, rows)
    for n, sequence in enumerate(sequences):
        words = np.array([row.words() for row in rows], dtype="<i4").reshape(-1)
        out = bytearray(len(rows))
        table = array("i", words.tolist())
        device = Features(list(SHIFTS), table, desk.address(out))
        for t in range(len(sequence.v)):
            if sequence.v[t]:
                device.take(int(sequence.v[t]), int(sequence.rate[t]), int(sequence.temp[t]))
                assert [b - 128 for b in out] == features[t, n].tolist(), (n, t)
            else:
                device.hold(int(sequence.rate[t]))


def test_a_lane_begins_anew_where_told() -> None:
    first, second = random_walk(1, 300), random_walk(2, 200)
    joined = Samples(*(np.concatenate((getattr(first, k), getattr(second, k))) for k in vars(first)))
    lanes = beside([joined])
    lanes.first[300, 0] = True
    assert (sources(lanes)[300:, 0] == sources(beside([second]))[:, 0]).all()


def test_floats_are_the_integers_unrounded() -> None:
    lanes = beside([random_walk(5, 500)])
    found = sources(lanes)
    rows = windows(found[lanes.measured])
    assert np.abs(scaled(found, rows) / 128 - unrounded(found, rows)).max() <= 1.001 / 128


def test_a_feature_is_one_at_the_ends_of_its_window() -> None:
    low, high = -4000.0, 12_000.0
    found = np.zeros((3, 11), dtype=np.int64)
    found[:, 1] = (low, (low + high) / 2, high)
    assert scaled(found, [Window(1, low, high)])[:, 0].tolist() == [-128, 0, 127]
