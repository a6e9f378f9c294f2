"""The command line, the environment that everything runs in, and the database's roles, schemas and functions."""
