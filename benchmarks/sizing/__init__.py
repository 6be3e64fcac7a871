"""What each way to size a pool would have cost, simulated beside other autoscalers: `python -m benchmarks.sizing`.

`cells` (traffic and cold starts) -> `tasks` (what is run: `runs`, `search` in hindsight, `steps`) -> `store` (raw
results) -> `figures` -> `tables`, which fill `docs/performance.md`. `real` drives pools of this machine instead.
"""
