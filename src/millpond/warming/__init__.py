"""Turns started workers into ready ones: warm-up commands, in an order and at a pace that a strategy says."""
