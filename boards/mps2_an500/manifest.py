# pyright: reportUndefinedVariable=false
"""What is frozen into the image: this port's start-up, asyncio, and the application.

Run by MicroPython's makemanifest with this folder as working directory; `freeze` and `include` are its words.
"""

freeze("port/modules", "_boot.py", opt=0)
include("$(MPY_DIR)/extmod/asyncio")
include("../application.py")
for _part in ("__init__", "clock", "rig"):
    freeze("../common", "hal/%s.py" % _part, opt=0)
freeze(".", "board.py", opt=0)
