"""To be written: learning."""
