"""To be written: deciding/policy."""
