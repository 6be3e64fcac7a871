"""The autoscalers people use, as policies of the optimizer, to be simulated beside it: `benchmarks.sizing`.

Each is written from its published formulas, which its module names, and gives some workers concurrency 1. Their knobs
have the shipped defaults; `families` says which values are tried in hindsight.
"""
