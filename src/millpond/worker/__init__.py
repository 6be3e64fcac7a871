"""The program inside a worker: takes calls from a socket, runs the handler, and answers."""
