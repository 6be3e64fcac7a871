"""Millpond and other process pools, measured side by side: `make bench`.

`run` -> one `driver` process for each of the other `process_pools`, `bare` limits and `ours` -> `scenarios` -> raw
data -> `targets` and `table`, which fill `docs/performance.md`. What else is measured has a module of its own; `sizing`
simulates the optimizer beside other autoscalers, its `peers`.
"""
