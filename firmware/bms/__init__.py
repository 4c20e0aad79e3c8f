"""Battery management firmware: one source for MicroPython and CPython.

On CPython (desk tests, rig, cloud) `bms.desk` supplies what MicroPython builds in.
"""

import sys

VERSION = "0.1.0"

if sys.implementation.name != "micropython":
    from bms import desk

    desk.install()
