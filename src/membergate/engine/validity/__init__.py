"""To be written: engine/validity."""
