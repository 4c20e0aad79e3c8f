"""Samples: latest, history, integrity, reference measurements."""
