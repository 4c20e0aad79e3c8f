"""Tools that run on the desk: build, flash, provision."""
