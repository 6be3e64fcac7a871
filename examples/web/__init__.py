"""Pools in web applications: FastAPI (the complete one), Starlette and Litestar."""
