"""The boards: one folder each, their common parts, and the tools that build, flash and provision them."""
