"""The MQTT broker: in process, or another one by URL."""
