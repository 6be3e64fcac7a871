"""The server: uvicorn's protocol on uvloop, with limits for what clients may do to it."""
