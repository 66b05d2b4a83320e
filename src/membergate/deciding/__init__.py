"""To be written: deciding."""
