"""To be written: learning/identity."""
