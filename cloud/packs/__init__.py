"""Packs and their boots."""
