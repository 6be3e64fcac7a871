"""`millpond top`: the essentials of a served pool on a terminal, each second."""
