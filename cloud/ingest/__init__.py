"""From MQTT messages to committed rows, and the acknowledgement back."""
