"""`millpond simulate`: what policies would have cost on recorded or made-up traffic, and who would have waited."""
