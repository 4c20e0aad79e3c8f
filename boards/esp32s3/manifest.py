# pyright: reportUndefinedVariable=false
"""What goes onto the board: the application, the parts that boards share, and this board."""

include("../application.py")
for _part in ("__init__", "clock", "dns", "net", "nor", "parts"):
    freeze("../common", "hal/%s.py" % _part, opt=0)
freeze(".", "board.py", opt=0)
