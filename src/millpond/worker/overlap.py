"""The globals of the program's `__main__` in a worker that runs several calls at once.

A call that comes alone may change values in the namespace all share, and others join it if they need not change any.
A call that would change what another uses gets a copy, and what its code assigned there is given back at its end.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from millpond.wire.mainglobals import ABSENT, MISSING, Arrived, Namespace, is_of_main, mark_of

if TYPE_CHECKING:
    from collections.abc import Callable


class OverlappedNamespace(Namespace):
    """The namespace of a worker from when its calls overlap; `caller` tells which call asks.

    A class is set up once and may stay for good: its methods have the shared globals, never a copy.
    """

    def __init__(self, names: Namespace, caller: Callable[[], int]) -> None:
        super().__init__(names.names)
        self.received, self.version = names.received, names.version
        self._caller = caller
        self._users: dict[int, bool] = {}  # call -> whether the values it needs are in place
        self._copies: dict[int, Copy] = {}
        self._defined: dict[str, Any] = {}  # for when no call uses the namespace
        self._lock = threading.RLock()

    def place(self, is_method: bool) -> dict[str, Any]:
        """The shared globals, if no other call uses them, else the call's copy."""
        with self._lock:
            call = self._caller()
            if call not in self._copies and not self._users.keys() - {call}:
                self._users[call] = False
            elif call not in self._copies:
                self._copies[call] = Copy(self)
            copy = self._copies.get(call)
            return self.names if copy is None or is_method else copy.names

    def receive(self, values: dict[str, Any]) -> None:
        """Set the program's values where the call's functions live."""
        with self._lock:
            call = self._caller()
            copy = self._copies.get(call)
            if copy is not None:
                copy.receive(values)
            elif call in self._users:
                super().receive(values)
                self._users[call] = True

    def define(self, name: str, value: Any) -> None:
        """See `Namespace`; not while calls run that may use another value."""
        with self._lock:
            if self._users and name in self.names:
                self._defined[name] = value
            else:
                super().receive({name: value})

    def renew(self, arrived: Arrived) -> bool:
        """See `Namespace`; false if values would change under another call, or before it has its own in place.

        And if the function is not bound to what all share.
        """
        with self._lock:
            call = self._caller()
            if call in self._copies or arrived.function.__globals__ is not self.names:
                return False
            others = [is_settled for user, is_settled in self._users.items() if user != call]
            if others and arrived.version != self.version:
                others += [self.received.get(name, ABSENT) == mark_of(value) for name, value in arrived.values.items()]
            if not all(others):
                return False
            self._users[call] = True
            return super().renew(arrived)

    def leave(self) -> None:
        """The call that asks has ended."""
        # A call enters itself, in its own thread and before this. So if both are empty it is in neither, whatever the
        # others do at this moment: most calls need no lock.
        if not self._users and not self._copies:
            return
        with self._lock:
            call = self._caller()
            self._users.pop(call, None)
            copy = self._copies.pop(call, None)
            if copy is not None:
                copy.give_back(self)
            if self._defined and not self._users:
                super().receive(self._defined)
                self._defined.clear()


class Copy(Namespace):
    """A namespace for one call."""

    def __init__(self, shared: Namespace) -> None:
        super().__init__(dict(shared.names))
        # Functions are to come anew: equal ones of the original's would see the original's values.
        self.received = {name: mark for name, mark in shared.received.items() if not is_of_main(self.names.get(name))}
        self._before = {name: (value, shared.received.get(name, ABSENT)) for name, value in self.names.items()}

    def set(self, name: str, value: Any, mark: Any) -> None:
        """See `Namespace`; the program's values are not given back."""
        super().set(name, value, mark)
        self._before[name] = value, mark

    def give_back(self, shared: Namespace) -> None:
        """Set in the shared namespace what the call's code assigned or removed."""
        # Another call may have changed the same name since the copy was made, by a copy of its own or in place: the one
        # that ends last wins, as it would with threads of one program. A name that the call only read is left alone.
        for name in self._before | self.names:
            before, mark = self._before.get(name, (MISSING, ABSENT))
            value = self.names.get(name, MISSING)
            if value is not before:
                shared.set(name, value, mark)
