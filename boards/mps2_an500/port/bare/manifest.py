# pyright: reportUndefinedVariable=false
"""Nothing of the application: its names are in no ROM, as in the images that others publish."""

freeze("../modules", "_boot.py", opt=0)
