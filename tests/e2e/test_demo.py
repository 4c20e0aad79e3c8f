"""The demo as its user runs it: an emulated board and others, the rig, the broker, the cloud, the page."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

CELLKEEPER = Path(sys.executable).with_name("cellkeeper")


def run_demo(*options: str, timeout_s: float = 240) -> dict[str, Any]:
    """The demo to its end; its one JSON object."""
    ran = subprocess.run(
        [CELLKEEPER, "demo", "--headless", "--json", *options],
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


def test_a_killed_cloud_loses_and_duplicates_nothing(data: Path) -> None:
    result = run_demo("--seconds", "45", "--kill-cloud-after", "15", "--data", str(data))
    assert result["lost"] == 0, result
    assert result["duplicated"] == 0, result
    assert result["data"]["simulated"] is False
    assert any("Cortex-M7" in board["machine"] for board in result["boards"])
    assert any("MicroPython" in board["machine"] for board in result["boards"])
    for board in result["boards"]:
        assert board["stored"] >= 30, board
        assert board["soc_mae_points"] < 3, board
    assert len({board["soc_start"] for board in result["boards"]}) == len(result["boards"])


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A demo that goes on until it is interrupted, and the address of its page."""
    log = tmp_path / "stderr"
    with log.open("w") as errors:
        process = subprocess.Popen([CELLKEEPER, "demo", "--headless", "--boards", "2"], stderr=errors)
    end = time.monotonic() + 120
    page = None
    while page is None and time.monotonic() < end and process.poll() is None:
        time.sleep(0.2)
        page = re.search(r"page: (\S+)", log.read_text())
    assert page, log.read_text()
    yield process, page[1]
    if process.poll() is None:
        process.kill()
    process.wait()


def children(pid: int) -> set[int]:
    """Living processes below a process."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | children(child)
    return found


def test_the_page_shows_the_demo_live_and_ctrl_c_ends_everything(
    demo: tuple[subprocess.Popen[bytes], str], data: Path
) -> None:
    process, address = demo
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        expect(page.get_by_test_id("connection-state")).to_have_attribute(
            "data-state", "live", timeout=20_000
        )
        expect(page.get_by_test_id("pack-card")).to_have_count(2, timeout=30_000)
        expect(page.get_by_test_id("cell-bar")).to_have_count(12, timeout=30_000)
        expect(page.get_by_test_id("soc-chart").first).to_be_visible()
        browser.close()
    below = children(process.pid)
    assert len(below) >= 3
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in (0, 130, -signal.SIGINT)
    time.sleep(0.5)
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]
