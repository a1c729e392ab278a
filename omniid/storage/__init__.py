"""What survives: the SQLite file and what lies in it."""
