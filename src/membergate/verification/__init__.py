"""To be written: verification."""
