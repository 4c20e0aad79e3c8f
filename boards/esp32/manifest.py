# pyright: reportUndefinedVariable=false
"""What goes onto the board: the application, the parts that boards share, and this board."""

include("../application.py")
for _part in ("__init__", "afe", "chip", "clock", "dns", "esp32", "net", "nor", "parts"):
    freeze("../common", "hal/%s.py" % _part, opt=0)
for _part in ("bq76952", "bq76952_bus", "bq76952_program", "bq76952_setup"):
    freeze("../common", "hal/%s.py" % _part, opt=0)
for _part in ("ltc6811", "ltc6811_chain", "ltc6811_config"):
    freeze("../common", "hal/%s.py" % _part, opt=0)
freeze(".", "board.py", opt=0)
