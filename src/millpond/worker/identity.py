"""What `multiprocessing` says of a worker: its name and its parent, as in a worker of the standard library's pools.

The module takes 10 ms to import, so it is told when the handler's code imports it, if it is not there already.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.machinery import ModuleSpec

_MODULE = "multiprocessing.process"


def identify(config: Mapping[str, Any]) -> None:
    """Say who this process is, now or as soon as anybody can ask."""
    if _MODULE in sys.modules:
        _tell(sys.modules[_MODULE], config)
    else:
        sys.meta_path.insert(0, _OnImport(config))


class _OnImport:
    """Finds the module where it is, and has it told once it is loaded."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        """The module's own, if it is this one that is looked for."""
        if name != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        loader: Any = spec.loader if spec is not None else None
        if loader is not None:
            run = loader.exec_module

            def run_and_tell(module: ModuleType) -> None:
                run(module)
                _tell(module, self._config)

            loader.exec_module = run_and_tell
        return spec


def _tell(module: Any, config: Mapping[str, Any]) -> None:
    pid, parents_name = config["parent"]
    this, number = module.current_process(), config["incarnation"]
    this._identity = (number,)
    this._name = f"{'Fork' if config.get('forked') else 'Spawn'}Process-{number}"
    this._parent_pid = pid
    if hasattr(os, "pidfd_open"):
        module._parent_process = module._ParentProcess(parents_name, pid, os.pidfd_open(pid))
