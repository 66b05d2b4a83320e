"""To be written: market."""
