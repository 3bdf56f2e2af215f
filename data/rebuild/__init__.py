"""One module for each bundled set: which packages it comes from and how its files are made."""
