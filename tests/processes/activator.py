"""A small systemd: opens a socket, and becomes a program that finds it as systemd's socket activation hands it over."""

from __future__ import annotations

import os
import socket
import sys

FIRST_FD = 3


def main() -> None:
    """`activator.py PORT COMMAND...`"""
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    os.dup2(listener.fileno(), FIRST_FD)
    os.set_inheritable(FIRST_FD, True)  # the descriptor may have had that number already
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"}
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
