"""Faults raised and cleared, and conflicting samples."""
