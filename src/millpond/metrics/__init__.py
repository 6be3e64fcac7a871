"""Adds up what happens, keeps it, and hands it out."""
