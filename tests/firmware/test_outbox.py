"""Store-and-forward: freed by acknowledgements alone, oldest dropped, gaps kept and sent again."""

import gc

import micropython
from bms.link.outbox import Outbox


def fill(box: Outbox, n: int, size: int = 20) -> None:
    for _ in range(n):
        box.append(sample(box.next_seq, size), size)


def sample(seq: int, size: int) -> bytes:
    return bytes((seq + i) & 255 for i in range(size))


def picked(box: Outbox, size: int = 20) -> "list[int]":
    """The picked seqs; their bytes must be theirs."""
    out = bytearray(box.n_bytes + 3)
    box.gather(out, 3)
    seqs = [box.seq + i for i in range(box.n)]
    assert bytes(out[3:]) == b"".join(sample(seq, size) for seq in seqs)
    return seqs


def send_live(box: Outbox, now_ms: int, most: int = 100) -> "list[int]":
    if not box.pick_live(most, 100_000, now_ms):
        return []
    seqs = picked(box)
    box.sent(now_ms)
    return seqs


def send_hist(box: Outbox, now_ms: int, most: int = 100, age_ms: int = 8000) -> "list[int]":
    if not box.pick_hist(most, 100_000, now_ms, age_ms):
        return []
    seqs = picked(box)
    box.sent(now_ms)
    return seqs


def test_live_samples_leave_once_and_in_order():
    box = Outbox()
    fill(box, 10)
    assert (box.next_seq, box.pending, box.waiting) == (10, 10, 10)
    assert send_live(box, 0, 4) == [0, 1, 2, 3]
    assert send_live(box, 0, 4) == [4, 5, 6, 7]
    assert send_live(box, 0, 4) == [8, 9]
    assert send_live(box, 0, 4) == []
    assert (box.pending, box.waiting) == (10, 0)


def test_a_message_takes_no_more_bytes_than_there_is_room():
    box = Outbox()
    fill(box, 10)
    assert box.pick_live(100, 59, 0) == 2
    assert box.n_bytes == 40
    assert box.pick_live(100, 60, 0) == 3
    assert box.pick_live(100, 19, 0) == 0


def test_what_was_picked_but_not_sent_is_picked_again():
    box = Outbox()
    fill(box, 3)
    assert box.pick_live(2, 1000, 0) == 2
    assert send_live(box, 0) == [0, 1, 2]


def test_only_an_acknowledgement_frees():
    box = Outbox()
    fill(box, 10)
    send_live(box, 0)
    assert box.pending == 10
    assert box.ack(4, [], 100)
    assert box.pending == 6
    assert box.ack(4, [], 100)
    assert box.ack(2, [], 100)
    assert box.pending == 6
    assert box.ack(10, [], 100)
    assert box.pending == 0
    rest = send_hist(box, 60_000)
    assert rest == []


def test_gaps_are_kept_and_sent_again_oldest_first():
    box = Outbox()
    fill(box, 12)
    send_live(box, 0)
    assert box.ack(10, [[2, 3], [6, 6]], 3000)
    assert box.pending == 5
    assert send_hist(box, 3000) == [2, 3]
    assert send_hist(box, 3000) == [6]
    assert send_hist(box, 3000) == []
    assert box.ack(12, [[6, 6]], 3100)
    assert box.pending == 1
    # named again at once: report and re-send crossed, so not yet
    box.rewind()
    assert send_hist(box, 3200) == []
    assert box.ack(12, [[6, 6]], 6000)
    assert send_hist(box, 6000) == [6]
    assert box.ack(12, [], 6100)
    assert box.pending == 0


def test_unacknowledged_samples_are_sent_again_after_their_age():
    box = Outbox()
    fill(box, 3)
    assert send_live(box, 0, 2) == [0, 1]
    assert send_live(box, 4000, 1) == [2]
    for now, expected in (
        (7000, []),
        (8300, [0, 1]),
        (9000, []),
        (12_400, [2]),
        (13_000, []),
        (16_700, [0, 1]),
    ):
        box.rewind()
        assert send_hist(box, now) == expected, now


def test_a_sample_that_was_never_sent_cannot_be_acknowledged_away():
    box = Outbox()
    fill(box, 6)
    send_live(box, 0, 3)
    assert box.ack(6, [], 10)
    assert box.pending == 3
    assert send_live(box, 20) == [3, 4, 5]


def test_contradictory_acknowledgements_change_nothing():
    box = Outbox()
    fill(box, 10)
    send_live(box, 0)
    for upto, gaps in (
        (11, []), (-1, []), (5, [[5, 5]]), (5, [[3, 2]]), (8, [[4, 5], [2, 2]]), (8, [[2, 4], [4, 5]]),
        (8, [[-1, 2]]), (2**63, []), (8, [[2, 2**40]]),
    ):  # fmt: skip
        assert not box.ack(upto, gaps, 0), (upto, gaps)
        assert box.pending == 10
    assert box.ack(9, [[0, 3], [4, 5], [8, 8]], 0)
    assert box.pending == 8


def test_a_full_store_drops_the_oldest_and_counts():
    box = Outbox(240)  # ten samples of 20 bytes and their headers
    fill(box, 25)
    assert (box.pending, box.dropped, box.next_seq) == (10, 15, 25)
    assert send_live(box, 0) == list(range(15, 25))
    fill(box, 3)
    assert (box.pending, box.dropped) == (10, 18)
    assert send_live(box, 0) == [25, 26, 27]
    assert box.ack(28, [[0, 17], [20, 20]], 5000)
    assert box.pending == 1
    assert send_hist(box, 5000) == [20]


def test_dropping_what_was_acknowledged_is_no_loss():
    box = Outbox(240)
    fill(box, 10)
    send_live(box, 0)
    assert box.ack(10, [[0, 0]], 0)  # the oldest is missing and holds the place of the others
    assert box.pending == 1
    fill(box, 10)
    assert box.dropped == 1
    assert box.pending == 10


def test_a_sample_larger_than_the_store_is_refused():
    box = Outbox(64)
    for n in (61, 70_000):
        try:
            box.append(bytes(n), n)
        except ValueError as error:
            assert str(n) in str(error)
        else:
            raise AssertionError(n)
    box.append(bytes(60), 60)
    assert box.pending == 1


def test_what_piled_up_is_passed_over_and_comes_as_history_without_waiting():
    box = Outbox()
    fill(box, 30)
    box.pass_over()
    assert box.waiting == 0
    fill(box, 2)
    assert send_live(box, 50) == [30, 31]
    assert send_hist(box, 60, 20) == list(range(20))
    assert send_hist(box, 70, 20) == list(range(20, 30))
    assert send_hist(box, 80) == []


def test_a_pass_of_the_history_goes_on_behind_the_tail_that_moves():
    box = Outbox(240)
    fill(box, 10)
    box.pass_over()
    assert send_hist(box, 0, 3) == [0, 1, 2]
    fill(box, 5)  # drops 0..4
    assert send_hist(box, 0, 3) == [5, 6, 7]
    assert box.ack(8, [[0, 4]], 10)
    assert send_hist(box, 20) == [8, 9]
    assert send_live(box, 20) == [10, 11, 12, 13, 14]


def test_samples_of_all_sizes_wrap_round_the_ring_intact():
    box = Outbox(1000)
    sizes: "list[int]" = []
    at = 0
    for step in range(600):
        n = (step * 7919) % 130
        box.append(sample(step, n), n)
        sizes.append(n)
        if step % 3 == 0:
            while box.pick_live(5, 400, step):
                out = bytearray(box.n_bytes)
                box.gather(out, 0)
                assert bytes(out) == b"".join(sample(box.seq + i, sizes[box.seq + i]) for i in range(box.n))
                at = box.seq + box.n
                box.sent(step)
            assert at == step + 1
        if step % 50 == 49:
            assert box.ack(at, [], step)
            assert box.pending == step + 1 - at


def test_ages_survive_the_wrap_of_any_clock():
    for start in (2**16 - 3000, 2**30 - 3000, 2**32 - 3000, 2**48 - 3000):
        box = Outbox()
        fill(box, 2)
        send_live(box, start)
        assert send_hist(box, start + 7000) == []
        box.rewind()
        assert send_hist(box, start + 8500) == [0, 1]


def test_keeping_and_picking_allocates_nothing():
    box = Outbox(2000)
    data = bytearray(40)
    out = bytearray(1000)
    gc.collect()
    micropython.heap_lock()
    try:
        i = 0
        while i < 300:
            box.append(data, 40)
            if box.pick_live(8, 700, i):
                box.gather(out, 0)
                box.sent(i)
            if box.pick_hist(8, 700, i, 8000):
                box.sent(i)
            i += 1
    finally:
        micropython.heap_unlock()
    assert box.dropped > 200
