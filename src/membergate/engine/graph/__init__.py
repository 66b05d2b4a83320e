"""To be written: engine/graph."""
