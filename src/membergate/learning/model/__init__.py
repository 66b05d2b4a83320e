"""To be written: learning/model."""
