"""Raises the alarm: rules over the pool's own metrics, what became of them, and the notifications of it."""
