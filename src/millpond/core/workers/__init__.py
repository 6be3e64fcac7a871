"""Workers' lives: how many there are, how each starts, is warmed, checked, drained and replaced."""
