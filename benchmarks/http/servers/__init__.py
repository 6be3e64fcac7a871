"""The programs that are measured, each started as `python -m benchmarks.http.servers.NAME PORT`.

All have two workers and answer `POST {"item": {"text": ..., "limit": ...}}` with `{"label": ..., "score": ...}`.
"""
