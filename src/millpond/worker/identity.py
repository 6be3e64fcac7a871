"""What `multiprocessing` says of a worker: its name, its parent and its key, as in a worker of the standard library's
pools.

It is told when the handler's code imports the module, if it is not there already.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from millpond.wire.onimport import when_imported
from millpond.wire.sharing import know_key

if TYPE_CHECKING:
    from collections.abc import Mapping


def identify(config: Mapping[str, Any]) -> None:
    """Say who this process is, now or as soon as anybody can ask."""
    when_imported("multiprocessing.process", partial(_set_process_names, config))
    know_key(config.get("authkey"))


def _set_process_names(config: Mapping[str, Any], module: Any) -> None:
    pid, parents_name = config["parent"]
    this, number = module.current_process(), config["incarnation"]
    this._identity = (number,)
    this._name = f"{'Fork' if config.get('forked') else 'Spawn'}Process-{number}"
    this._parent_pid = pid
    if hasattr(os, "pidfd_open"):
        module._parent_process = module._ParentProcess(parents_name, pid, os.pidfd_open(pid))
