"""To be written: engine/cluster."""
