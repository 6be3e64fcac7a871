"""A handler module whose import fails, at a line its author will recognize."""

raise ImportError("the author's own mistake")
