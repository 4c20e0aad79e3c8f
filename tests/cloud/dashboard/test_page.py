"""The live page against a real broker, ingest, store and API."""

import asyncio
import re
import time

from bms.tables import limiters, params, signals
from playwright.async_api import Page, expect

from tests.cloud import edge as edges
from tests.cloud.conftest import TOKEN
from tests.cloud.dashboard.conftest import Site
from tests.cloud.edge import Edge, running

OVER_VOLTAGE = 3


async def sample(edge: Edge, **values: int | list[int]) -> None:
    """Send a tele sample with `values` in wire units, by signal name."""
    await edge.record(signals.TELE, [edges.tele(edge.now_ms, **values)])


async def test_a_pack_is_shown_and_follows_what_it_sends(site: Site, page: Page) -> None:
    async with site.serving(), running(Edge(site.cloud.mqtt_port, utc=True)) as edge:
        await sample(edge, soc=5000, gates=signals.GATE_NEGATIVE | signals.GATE_POSITIVE)
        await edge.cells()
        await edge.settled()
        await page.goto(site.signed_in)
        card = page.get_by_test_id("pack-card")
        await expect(card).to_have_count(1)
        await expect(card).to_contain_text("pack-1")
        await expect(card).to_contain_text("edge of the tests")
        await expect(card).to_contain_text("50.0%")
        await expect(page.get_by_test_id("pack-state").first).to_have_text("closed")
        await expect(page.get_by_test_id("connection-state")).to_contain_text("Live")
        await expect(page.get_by_test_id("contactors").get_by_role("listitem")).to_have_text(
            [re.compile("Negative.*closed"), re.compile("Precharge.*open"), re.compile("Positive.*closed")]
        )
        await sample(edge, soc=8000, current_a=-2500)
        await expect(page.get_by_test_id("soc-value")).to_contain_text("80.0 %")
        await expect(card).to_contain_text("−2.50\u00a0A")


async def test_what_a_board_with_its_cells_tables_estimates(site: Site, page: Page) -> None:
    async with site.serving(), running(Edge(site.cloud.mqtt_port, utc=True)) as edge:
        await sample(edge, soc=5000)
        await edge.settled()
        await page.goto(site.signed_in)
        await expect(page.get_by_test_id("pack-detail")).to_be_visible()
        await expect(page.get_by_test_id("outlook")).to_have_count(0)
        await sample(
            edge, energy_wh=21_500, energy_sigma_wh=400, discharge_power_w=180, core_temperature_c=312,
            core_temperature_ahead_c=329, soh=9140, soc_lowest=4310,
        )  # fmt: skip
        await expect(page.get_by_test_id("energy_wh")).to_contain_text("21.5\u00a0Wh± 0.8\u00a0Wh (2σ)")
        await expect(page.get_by_test_id("discharge_power_w")).to_contain_text("180\u00a0W")
        await expect(page.get_by_test_id("charge_power_w")).to_contain_text("–")
        await expect(page.get_by_test_id("core_temperature_c")).to_contain_text(
            "31.2\u00a0°C32.9\u00a0°C within 60 s"
        )
        await expect(page.get_by_test_id("soh")).to_contain_text("91.4\u00a0%")
        await expect(page.get_by_test_id("soc_lowest")).to_contain_text("43.1\u00a0%")


async def test_cells_are_bars_between_the_limits_of_their_chemistry(site: Site, page: Page) -> None:
    async with site.serving(), running(Edge(site.cloud.mqtt_port, utc=True)) as edge:
        await sample(edge)
        await edge.cells()
        await edge.settled()
        await page.goto(site.signed_in)
        bars = page.get_by_test_id("cell-bar")
        await expect(bars).to_have_count(4)
        labels = [await bar.get_attribute("aria-label") for bar in await bars.all()]
        assert labels == [
            "cell 1: 3.700 V, lowest",
            "cell 2: 3.701 V",
            "cell 3: 3.702 V",
            "cell 4: 3.703 V, highest",
        ]
        limits = params.defaults(params.NMC)
        chart = page.get_by_role("list", name="Cell voltages")
        await expect(chart).to_contain_text(f"over-voltage limit {limits['cell_ov_mv'] / 1000:.2f} V")
        await expect(chart).to_contain_text(f"under-voltage limit {limits['cell_uv_mv'] / 1000:.2f} V")
        over = {**edges.cells(edge.now_ms), 18: [3700, limits["cell_ov_mv"] + 12, 3702, 3703]}
        await edge.record(signals.CELLS, [over])
        await expect(bars.nth(1)).to_have_attribute(
            "aria-label", re.compile("4.262 V, highest, beyond its limit")
        )


async def test_state_of_charge_is_drawn_against_the_reference(site: Site, page: Page) -> None:
    async with site.serving(), running(Edge(site.cloud.mqtt_port, utc=True)) as edge:
        for soc in (7000, 6990, 6980):
            await sample(edge, soc=soc)
            await asyncio.sleep(0.05)
        await edge.settled()
        now_ms = time.time_ns() // 1_000_000
        points = [{"time_utc_ms": now_ms + at, "soc": 0.71} for at in (-60_000, 1000)]
        (await site.cloud.api.post("/api/packs/pack-1/reference", json=points)).raise_for_status()
        await page.goto(site.signed_in)
        chart = page.get_by_test_id("soc-chart")
        await expect(chart).to_contain_text("Estimate 69.8\u00a0%")
        await expect(chart).to_contain_text("Reference 71.0\u00a0%")
        for line in (".line.estimate", ".line.reference", ".band"):
            assert re.match(r"M\d", await chart.locator(line).get_attribute("d") or ""), line
        live = [{"time_utc_ms": now_ms + 5000, "soc": 0.65}]
        (await site.cloud.api.post("/api/packs/pack-1/reference", json=live)).raise_for_status()
        await expect(chart).to_contain_text("Reference 65.0\u00a0%")


async def test_a_fault_comes_and_goes_as_it_happens(site: Site, page: Page) -> None:
    async with site.serving(), running(Edge(site.cloud.mqtt_port, utc=True)) as edge:
        await sample(edge)
        await edge.settled()
        await page.goto(site.signed_in)
        await expect(page.get_by_test_id("fault-feed")).to_contain_text("No fault has been reported.")
        await expect(page.get_by_test_id("count-faults")).to_have_text(re.compile("0$"))
        await edge.event(OVER_VOLTAGE, raised=True)
        await sample(edge, state=signals.TRIPPED, faults=[OVER_VOLTAGE])
        row = page.get_by_test_id("fault-row")
        await expect(row).to_have_count(1)
        for text in (
            "Critical",
            "active",
            "Cell over voltage",
            "pack-1",
            "cell 3",
            "4.260\u00a0V",
            "limit 4.250\u00a0V",
        ):
            await expect(row).to_contain_text(text)
        card = page.get_by_test_id("pack-card")
        await expect(card).to_contain_text("tripped")
        await expect(card).to_contain_text("Cell over voltage")
        await expect(page.get_by_test_id("count-faults")).to_have_text(re.compile("1$"))
        await edge.event(OVER_VOLTAGE, raised=False)
        await expect(row).to_have_attribute("data-active", "false")
        await page.reload()
        await expect(row).to_contain_text("cleared")


async def test_the_token_leaves_the_address_and_lives_in_the_tab(site: Site, page: Page) -> None:
    async with site.serving():
        await page.goto(site.signed_in)
        await expect(page.get_by_test_id("empty")).to_contain_text("No packs yet")
        assert TOKEN not in page.url
        await page.reload()
        await expect(page.get_by_test_id("empty")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Access token")).to_be_focused()
        await page.reload()
        await expect(page.get_by_test_id("sign-in")).to_be_visible()


async def test_a_wrong_token_is_refused_in_words_and_a_right_one_taken(site: Site, page: Page) -> None:
    async with site.serving():
        await page.goto(f"{site.url}#token=wrong")
        await expect(page.get_by_test_id("refused")).to_contain_text("token is not known")
        await page.get_by_label("Access token").fill(TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("connection-state")).to_contain_text("Live")


async def test_a_restart_of_the_server_is_shown_and_survived(site: Site, page: Page) -> None:
    async with running(Edge(site.cloud.mqtt_port, utc=True)) as edge:
        await sample(edge, soc=5000)
        await edge.settled()
        state = page.get_by_test_id("connection-state")
        async with site.serving():
            await page.goto(site.signed_in)
            await expect(state).to_have_attribute("data-state", "live")
        await expect(state).to_contain_text("Reconnecting")
        await sample(edge, soc=4000)
        async with site.serving():
            await expect(state).to_have_attribute("data-state", "live")
            await expect(page.get_by_test_id("soc-value")).to_contain_text("40.0 %")


async def test_packs_are_chosen_by_keyboard_also_on_a_phone(site: Site, page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    port = site.cloud.mqtt_port
    async with (
        site.serving(),
        running(Edge(port, "pack-1", utc=True)) as first,
        running(Edge(port, "pack-2", utc=True)) as second,
    ):
        for edge, soc in ((first, 3000), (second, 9000)):
            await sample(edge, soc=soc)
            await edge.settled()
        await page.goto(site.signed_in)
        await expect(page.get_by_test_id("pack-card")).to_have_count(2)
        await expect(page.get_by_test_id("soc-value")).to_contain_text("30.0 %")
        await page.get_by_role("button", name="pack-2").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("soc-value")).to_contain_text("90.0 %")
        await expect(page.get_by_role("button", name="pack-2")).to_have_attribute("aria-pressed", "true")
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        await page.reload()
        await expect(page.get_by_test_id("pack-detail")).to_have_attribute("data-pack", "pack-2")


async def test_limits_say_what_holds_them_down(site: Site, page: Page) -> None:
    async with site.serving(), running(Edge(site.cloud.mqtt_port, utc=True)) as edge:
        values = {
            "charge_limit_a": 12,
            "charge_limiter": limiters.COLD,
            "discharge_limit_a": 200,
            "discharge_limiter": limiters.NONE,
            "balancing": 2,
            "pump": 35,
            "charge_phase": signals.CHARGE_CV,
            "charge_request_voltage_v": 50_100,
            "charge_request_current_a": 1200,
        }
        await sample(edge, **values)
        await edge.settled()
        await page.goto(site.signed_in)
        await expect(page.get_by_test_id("charge-limit")).to_contain_text("1.2\u00a0A")
        await expect(page.get_by_test_id("charge-limit")).to_contain_text("Cold")
        await expect(page.get_by_test_id("discharge-limit")).to_contain_text("20.0\u00a0A")
        await expect(page.get_by_test_id("discharge-limit")).to_contain_text("Not derated")
        await expect(page.get_by_test_id("charge-request")).to_contain_text("50.10\u00a0V, 1.20\u00a0A")
        await expect(page.get_by_test_id("charge-request")).to_contain_text("Constant voltage")
        await expect(page.get_by_test_id("limits")).to_contain_text("2 cells")
        await expect(page.get_by_test_id("limits")).to_contain_text("35\u00a0%")
        await sample(edge, **{**values, "charge_limiter": limiters.RAMP, "charge_phase": signals.CHARGE_OFF,
                              "charge_request_voltage_v": 0, "charge_request_current_a": 0})  # fmt: skip
        await expect(page.get_by_test_id("charge-limit")).to_contain_text("Ramp")
        await expect(page.get_by_test_id("charge-request")).to_contain_text("none")
