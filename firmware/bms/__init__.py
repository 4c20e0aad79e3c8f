"""Battery management firmware: one source for MicroPython and CPython.

On CPython (desk tests, rig, cloud) `bms.desk` supplies what MicroPython builds in.
"""

import sys

if sys.implementation.name != "micropython":
    from bms import desk

    desk.install()
