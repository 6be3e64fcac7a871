"""A digit reader for hundreds of sessions, with a worker killed half-way: `make demo`, or `python -m examples.demo`."""
