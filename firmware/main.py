"""Device entry point: the board, the application on it, and off."""

import gc

if hasattr(gc, "threshold"):
    # Collect often: else the garbage of loading leaves a heap of 160 kB in pieces too small for the stores.
    gc.threshold(4096)

from bms.app import App  # noqa: E402
from board import Board  # noqa: E402

App(Board()).run()
