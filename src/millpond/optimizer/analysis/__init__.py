"""What the load is like: named findings with numbers and confidence, from the rows of the history. numpy only."""
