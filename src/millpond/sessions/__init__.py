"""Where the states of sessions are kept while no worker holds them: one store a file."""
