"""What the pool says to `logging`, and what it makes of text that others wrote. Part of the vocabulary."""
