"""Training of the estimators' networks on measured logs, and what the device reads of them."""
