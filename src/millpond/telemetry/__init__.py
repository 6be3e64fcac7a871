"""Tells listeners what happened."""
