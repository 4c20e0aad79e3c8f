"""Shared by every test room."""
