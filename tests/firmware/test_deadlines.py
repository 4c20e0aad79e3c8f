"""The watchdog's supervision: fed once a period, in its window, and only if every task met its deadline."""

import micropython
from bms.deadlines import (
    CONTROL,
    DEADLINES_MS,
    ESTIMATOR,
    LEAK,
    LINK,
    MEMORY,
    RECORDER,
    REPORTS,
    WINDOW_MS,
    Deadlines,
)
from bms.tables.signals import TASKS

PERIODIC = (ESTIMATOR, CONTROL, LEAK, REPORTS, RECORDER)
TURNS = (LINK, MEMORY)


class Desk:
    """Clock, watchdog and log of a board in one."""

    def __init__(self) -> None:
        self.clock = self.watchdog = self.afe = self
        self.now_ms = 1000
        self.fed: "list[int]" = []
        self.said: "list[str]" = []
        self.supervised = Deadlines(self)  # pyright: ignore[reportArgumentType]
        self.overruns = 0

    def ms(self) -> int:
        return self.now_ms

    def feed(self) -> None:
        self.fed.append(self.now_ms)

    def log(self, text: str) -> None:
        self.said.append(text)

    def period(self, took_ms: "dict[int, int] | None" = None, left_out: int = -1, rest_ms: int = 93) -> bool:
        """One period in which each task takes 1 ms, or as `took_ms` says; whether the watchdog was fed."""
        before = len(self.fed)
        run = self.supervised
        for group in (PERIODIC, TURNS):
            run.begin()
            for task in group:
                if task != left_out:
                    self.now_ms += (took_ms or {}).get(task, 1)
                    run.ended(task)
            if group == PERIODIC:
                run.close(self.overruns)
        self.now_ms += rest_ms
        return len(self.fed) > before


def test_a_period_in_which_all_went_well_feeds_once():
    desk = Desk()
    assert [desk.period() for _ in range(5)] == [True] * 5
    assert [b - a for a, b in zip(desk.fed[:-1], desk.fed[1:])] == [100] * 4  # noqa: B905
    assert desk.supervised.late == 0
    assert desk.supervised.newest == -1


def test_a_deadline_is_met_to_the_millisecond_and_the_culprit_is_counted_by_name():
    for task in range(len(TASKS)):
        desk = Desk()
        desk.period()
        desk.period({task: DEADLINES_MS[task]})
        assert desk.period()
        fed = len(desk.fed)
        desk.period({task: DEADLINES_MS[task] + 1})
        desk.period()
        # a turn of link or memory is part of the period that ends after it
        assert len(desk.fed) == fed + 1, TASKS[task]
        assert list(desk.supervised.missed) == [n == task for n in range(len(TASKS))]
        assert (desk.supervised.newest, desk.supervised.late) == (task, 1)
        assert desk.period()
        assert desk.said == [
            "task %s took %d ms, its deadline is %d ms (1 times)"
            % (TASKS[task], DEADLINES_MS[task] + 1, DEADLINES_MS[task])
        ]


def test_a_task_that_is_always_late_starves_the_watchdog():
    desk = Desk()
    desk.period()
    assert not any(desk.period({LEAK: DEADLINES_MS[LEAK] + 5}) for _ in range(20))
    assert desk.supervised.missed[LEAK] == desk.supervised.late == 20
    assert len(desk.said) == 5, "at 1, 2, 4, 8, 16"


def test_a_task_that_did_not_run_starves_the_watchdog():
    for task in range(len(TASKS)):
        desk = Desk()
        desk.period()
        desk.period(left_out=task)
        desk.period(left_out=task)
        fed = len(desk.fed)
        assert not desk.period(left_out=task), TASKS[task]
        desk.period()
        assert desk.period()
        assert len(desk.fed) > fed


def test_a_period_that_began_before_the_last_one_ended_does_not_feed():
    desk = Desk()
    desk.period()
    desk.overruns = 1
    assert not desk.period()
    assert desk.period()


def test_an_early_feed_waits_for_the_window():
    desk = Desk()
    assert desk.period(rest_ms=0)
    while desk.now_ms < desk.fed[0] + WINDOW_MS - 7:
        assert not desk.period(rest_ms=0)
    desk.now_ms = desk.fed[0] + WINDOW_MS - 5  # the period's tasks take 5 ms
    assert desk.period()
    assert desk.fed[1] - desk.fed[0] == WINDOW_MS


def test_there_is_a_deadline_for_every_task_and_the_periodic_ones_fit_into_the_period():
    assert len(DEADLINES_MS) == len(TASKS)
    assert sum(DEADLINES_MS[task] for task in PERIODIC) <= 100
    assert max(DEADLINES_MS) < 1000


def test_allocates_nothing():
    desk = Desk()
    run = desk.supervised
    quiet = Quiet()
    run._watchdog = quiet  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    micropython.heap_lock()
    try:
        for _ in range(3):
            run.begin()
            for task in PERIODIC:
                run.ended(task)
            run.close(0)
            for task in TURNS:
                run.ended(task)
    finally:
        micropython.heap_unlock()
    assert quiet.fed


class Quiet:
    def __init__(self) -> None:
        self.fed = False

    def feed(self) -> None:
        self.fed = True
