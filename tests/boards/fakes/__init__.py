"""Stand-ins for the hardware modules of MicroPython's ports, down to the rules that boards rely on."""
