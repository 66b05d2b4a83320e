"""To be written: learning/features."""
