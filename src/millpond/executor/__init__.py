"""The pool as a `concurrent.futures.Executor`: its futures, its `map`, and what else the standard one has."""

from millpond.executor.executor import Executor as Executor
