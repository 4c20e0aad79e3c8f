"""Mounts the file system at / before anything else runs, and makes it when there is none."""

import sys

import mps2
import vfs

_flash = mps2.Flash()
try:
    _fs = vfs.VfsLfs2(_flash, progsize=256)
except OSError:
    vfs.VfsLfs2.mkfs(_flash, progsize=256)
    _fs = vfs.VfsLfs2(_flash, progsize=256)
vfs.mount(_fs, "/")

# Files win over frozen modules, so that one module can be replaced on a device without a new image.
sys.path[:] = ["/lib", "", ".frozen"]
