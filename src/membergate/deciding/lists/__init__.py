"""To be written: deciding/lists."""
