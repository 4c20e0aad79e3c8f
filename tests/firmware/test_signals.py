"""Telemetry's table: keys that never meet, topics as documented."""

from bms.tables import signals


def test_keys_and_names_are_unique_and_fields_never_meet_signals():
    for rows in (signals.SIGNALS, signals.FIELDS):
        assert len({row.key for row in rows}) == len(rows) > 0
        assert len({row.name for row in rows}) == len(rows)
    assert all(row.key >= 0 for row in signals.SIGNALS)
    assert all(row.key < 0 for row in signals.FIELDS)


def test_a_topic_names_version_tenant_site_pack_and_leaf():
    assert signals.topic("acme", "berlin", "pack-7", "tele") == "bms/1/acme/berlin/pack-7/tele"


def test_states_are_in_the_order_of_their_numbers():
    for name in ("BOOT", "OPEN", "PRECHARGE", "CLOSED", "OPENING", "TRIPPED", "WELD_TEST", "COOL_DOWN"):
        assert signals.STATES[getattr(signals, name)] == name.lower()


def test_gates_are_bits_of_their_own():
    gates = (signals.GATE_NEGATIVE, signals.GATE_PRECHARGE, signals.GATE_POSITIVE)
    assert sum(gates) == 7
    assert all(gate in (1, 2, 4) for gate in gates)
