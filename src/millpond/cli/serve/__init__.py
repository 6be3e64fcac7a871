"""`millpond serve`: pools behind HTTP, from the command line and one TOML file."""
