"""The digital twin: cell and pack models that the rig, the cloud and training share."""
