"""To be written: store."""
