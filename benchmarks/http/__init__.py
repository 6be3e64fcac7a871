"""`millpond serve` and other model servers, measured side by side over HTTP: `make bench-http`.

`command` -> the `programs`, each a server in a process of its own -> `load` (wrk, and `open_loop.c`) -> `measures` and
`layers` -> raw data in `benchmarks/results/http.json` -> `page`, which fills `docs/performance.md`. It needs wrk and a
C compiler; the servers are in the extra `bench-http`, installed into an environment of its own.
"""
