"""Millpond and other process pools, measured side by side: `make bench`.

`run` -> one `driver` process for each of the `peers`, `bare` limits and `ours` -> `scenarios` -> raw data ->
`targets` and `table`, which fill `docs/performance.md`.
"""
