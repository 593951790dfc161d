"""Programs to read and run: each is one file, starts from nothing and prints what it does."""
