"""Long trials with faults inside the controller; each prints its seed and can be resumed."""
