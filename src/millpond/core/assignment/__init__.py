"""Admission, the assignment of calls to workers, and the one step by which every call ends."""
