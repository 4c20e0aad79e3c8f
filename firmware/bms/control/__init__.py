"""Control above the safety tick: current limits, balancing, charging, cooling; once a period of PERIOD_MS."""
