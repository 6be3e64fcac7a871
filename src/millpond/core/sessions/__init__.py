"""Sessions' lives: opening, the order of their calls, moving, durability, sleep, expiry and loss."""
