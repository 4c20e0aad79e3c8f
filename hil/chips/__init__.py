"""Measuring chips emulated at the level of their registers, behind MicroPython's `machine.I2C` and `SPI`.

Their time is the caller's: `advance(us)`. What they measure is set from outside: by a test, or by a plant.
"""
