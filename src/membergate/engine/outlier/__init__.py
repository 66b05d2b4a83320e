"""To be written: engine/outlier."""
