"""How the tables came to be, one revision a file in `versions`; run by `membergate.store.migrating`."""
