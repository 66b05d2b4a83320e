"""To be written: market/simulator."""
