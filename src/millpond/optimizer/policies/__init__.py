"""Who proposes the sizing rule's parameters: one policy a file."""
