"""Trips as the packs' black boxes recorded them, with what was measured around them."""
