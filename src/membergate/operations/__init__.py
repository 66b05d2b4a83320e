"""One verb a file. A door parses, calls one of these, and renders what comes back; nothing here prints."""
