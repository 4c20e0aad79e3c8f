"""The rig: emulates the cells over the AFE link and puts the unchanged firmware on trial."""
