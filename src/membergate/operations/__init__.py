"""To be written: operations."""
