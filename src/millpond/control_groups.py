"""The control groups of this process, of version 2 and 1: the folders in which the kernel says what each may use.

Part of the vocabulary. Reads Linux's own files; there is nothing where there are none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

MOUNT = "/sys/fs/cgroup"
OWN = "/proc/self/cgroup"
_V2 = ("", "unified")  # where the file system of version 2 is mounted below `MOUNT`


def groups(controller: str, mounts: Sequence[str], mount: str, own: str) -> Iterator[tuple[bool, str]]:
    """Whether it is of version 2, and the folder, of each group, from this process's own up to the root.

    `mounts` are the places below `mount` where version 1 may have the controller.
    """
    for line in read(own).splitlines():
        number, controllers, group = [*line.split(":", 2), "", ""][:3]
        is_v2 = number == "0"
        if not is_v2 and controller not in controllers.split(","):
            continue
        for place in _V2 if is_v2 else mounts:
            # In a container the path may be the one outside: then only the root, which is the container's, is there.
            names = group.strip("/").split("/")
            for depth in range(len(names), -1, -1):
                yield is_v2, os.path.join(mount, place, *names[:depth])


def read(path: str) -> str:
    """A file's text; empty if it cannot be read."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
