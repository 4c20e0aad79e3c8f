"""Device time of a board."""

import time


class Clock:
    """Device time from `time.ticks_ms`, which wraps after some days; this does not."""

    def __init__(self) -> None:
        self._last = self._tick_at = time.ticks_ms()
        self._ms = 0

    def ms(self) -> int:
        """Milliseconds since boot; the main loop calls this far more often than the counter wraps."""
        now = time.ticks_ms()
        self._ms += time.ticks_diff(now, self._last)
        self._last = now
        return self._ms

    def elapsed_ms(self) -> int:
        """Milliseconds since the last call; called once a tick."""
        now = time.ticks_ms()
        elapsed_ms = time.ticks_diff(now, self._tick_at)
        self._tick_at = now
        return elapsed_ms
