"""Decides who gets what, and when: no I/O, no clock of its own, no threads."""
