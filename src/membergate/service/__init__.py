"""To be written: service."""
