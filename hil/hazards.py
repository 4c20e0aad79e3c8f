"""Hazards, what causes them, which protections answer, and where the evidence is. Not a certificate.

Scenarios of the matrix are found by the protections' names.
"""

from __future__ import annotations

from dataclasses import dataclass

CLAUSES_ARE = "reference, to be verified against the standard's text"
"""What every clause named below is: a hint for whoever makes a safety case, named from memory."""


@dataclass(frozen=True)
class Hazard:
    """One line of the analysis. `protections` are rows of the fault table, `scenarios` files or campaigns.

    `gap` says what is open.
    """

    id: str
    hazard: str
    cause: str
    protections: tuple[str, ...]
    scenarios: tuple[str, ...]
    clauses: tuple[str, ...]
    gap: str = ""


HAZARDS = (
    Hazard(
        "H1", "thermal runaway by overcharge", "charger does not stop; a cell is ahead of the others",
        ("cell_over_voltage", "pack_over_voltage", "cell_imbalance"),
        ("cell_over_voltage", "regression_every_cell_counts", "regression_full_pack_refuses_charge"),
        ("IEC 62619 8.2.2 (overcharge control of voltage)", "UL 1973 (overcharge)"),
    ),
    Hazard(
        "H2", "copper dissolution, later internal short", "deep discharge by load or self-discharge",
        ("cell_under_voltage", "pack_under_voltage"), (), ("IEC 62619 7.2.6 (forced discharge)",),
        "an idle pack below its limit is not put to sleep for good",
    ),
    Hazard(
        "H3", "overheating by over-current", "short or overload at the link",
        ("charge_over_current", "discharge_over_current", "charge_overload", "discharge_overload"),
        ("regression_hold_time", "broker_floods"),
        ("IEC 62619 8.2.3 (overcharge control of current)", "UL 1973 (external short)"),
        "a hard short within 10 ms is the fuse's and the front end's, not software's",
    ),
    Hazard(
        "H4", "lithium plating", "charge in the cold", ("charge_under_temperature", "under_temperature"),
        ("regression_unknown_never_clears",), ("UL 1973 (temperature)",),
    ),
    Hazard(
        "H5", "overheating", "cooling fails, surroundings too hot",
        ("over_temperature", "charge_over_temperature", "temperature_rise"),
        ("regression_every_sensor_counts",),
        ("IEC 62619 8.2.4 (overheating control)", "UL 1973 (temperature)"),
    ),
    Hazard(
        "H6", "thermal runaway and its propagation", "internal short, crush, heat from a neighbour",
        ("thermal_runaway", "temperature_rise", "internal_short"), ("internal_short",),
        ("IEC 62619 7.3.3 (propagation)", "UL 1973 (single cell failure)"),
        "stopping propagation is the pack's construction",
    ),
    Hazard(
        "H7", "protection acts on a wrong voltage", "open or swapped sense wire, drifting front end",
        ("open_wire", "sum_of_cells", "cells_frozen"), (), ("IEC 60730-1 H.2.18.8 (input comparison)",),
        "two swapped sense wires of equal cells cannot be told apart; the extremes do not care",
    ),
    Hazard(
        "H8", "protection acts on a wrong current", "shunt or its amplifier freezes or drifts",
        ("current_frozen", "sum_of_cells"), (), ("IEC 60730-1 H.2.18.8 (input comparison)",),
        "a slowly drifting offset below the overload limit shows in the estimate of charge only",
    ),
    Hazard(
        "H9", "protection acts on a wrong temperature", "sensor open, shorted or stuck",
        ("temp_sensor_open", "temp_sensor_short"), (), ("IEC 60730-1 H.2.18.8 (input comparison)",),
        "a sensor frozen at a likely value is not found; neighbours must see the heat",
    ),
    Hazard(
        "H10", "protection is blind", "front end or its line fails",
        ("fast_lost", "cells_lost", "temps_lost", "afe_error"), ("lost_measurement", "broker_dies"),
        ("ISO 26262-5 annex D (communication: loss, repetition, corruption)",),
    ),
    Hazard(
        "H11", "path does not open", "contactor welded", ("contactor_welded",),
        ("welded_before_closing", "reboot_asks_first"),
        ("UL 1973 (contactor)", "ISO 26262 (latent fault)"),
        "a single weld with a stuck mirror contact leaves the other contactor to open the path, unseen",
    ),
    Hazard(
        "H12", "inrush welds contactors or burns the resistor", "precharge fails",
        ("precharge_failed", "contactor_not_closing"), ("contactor_fails_to_close",),
        ("UL 1973 (precharge)",),
    ),
    Hazard(
        "H13", "electric shock", "isolation to the chassis fails", ("isolation",),
        ("obedient_load", "stubborn_load"), ("UL 1973 (dielectric, grounding)", "ISO 6469-3"),
    ),
    Hazard(
        "H14", "protection is starved", "software above it hangs, floods or fills the memory",
        ("task_overrun", "tick_overrun", "watchdog_reset"),
        (
            "controller_hang", "controller_fill_heap", "controller_collect", "controller_spin",
            "watchdog_resets", "watchdog_slow_task", "watchdog_derates", "broker_floods",
            "regression_broker_hangs", "campaign dead_man",
        ),
        (
            "IEC 60730-1 H.2.18.10.4 (independent time-slot monitoring)",
            "ISO 26262-6 annex D (freedom from interference)",
        ),
        "gates that fall by themselves without the tick are hardware's: tried in emulation only",
    ),
    Hazard(
        "H15", "protection's memory is corrupt", "a bit flips in RAM",
        ("parameters_corrupt", "state_corrupt"),
        ("campaign bit_flips", "campaign board_bit_flips"),
        ("IEC 60730-1 H.2.19 (variable memory)",), "code in flash is not checked after start",
    ),
    Hazard(
        "H16", "a latched fault is forgotten", "power fails while memory is written",
        ("nvm_corrupt", "brownout_reset"),
        (
            "brown_out_while_driving", "brownout_derates", "nvm_corrupt", "latched_fault_survives_power_cut",
            "power_fails_in_mid_trip", "campaign power_cut", "campaign power_cut_every_bit",
        ),
        ("ISO 26262-5 annex D (non-volatile memory)",),
        "no board's MicroPython tells a brown-out from a power-on; what follows one was tried at the desk",
    ),
    Hazard(
        "H17", "loss of power at a bad moment", "false trip by noise", (), ("campaign trips", "drive_cycle"),
        ("ISO 26262-3 (availability)",),
    ),
)  # fmt: skip
"""The analysis, by hazard."""
