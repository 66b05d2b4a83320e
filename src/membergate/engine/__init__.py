"""To be written: engine."""
