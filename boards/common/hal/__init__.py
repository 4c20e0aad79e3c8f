"""What the boards on MicroPython's `machine` module have in common; goes to /lib/hal on the device."""
