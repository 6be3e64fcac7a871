"""Which streams of pickle would import a module when they are decoded: an import may take a second, and the loop that
decodes results has callers to serve.

Looks at the stream only and decides nothing else. A module that is on its way counts as not imported: whoever asks for
it waits until it is there. What a class does by itself when it is restored is not seen.
"""

from __future__ import annotations

import re
import sys
import types

# A class or function by name: the module as short text, the name as short text or one that came before, STACK_GLOBAL.
_NAMED = re.compile(rb"\x8c.([A-Za-z_][\w.]*)\x94(?:\x8c.[\w.]+\x94|h.|j....)\x93", re.DOTALL)
CALLS_A_NAME = 0x93  # without this byte a stream needs none
# cloudpickle refers to a module by a call with the module's name.
_SUBIMPORT = b"subimport"
_CALLED_WITH_TEXT = re.compile(rb"\x8c.([A-Za-z_][\w.]*)\x94\x85\x94?R", re.DOTALL)
# A file descriptor is fetched from the worker that sent it, which may take as long as an import.
_FETCHED = b"millpond.wire.descriptors"

_known: set[bytes] = set()  # modules that were there and complete: at most as many as there are
_known_heads: set[bytes] = set()  # beginnings of streams, up to the last name in them, that need none: looked at first
_HEADS, _HEAD_BYTES = 256, 256
_SHORT_BYTES = 4096  # a view that is no longer is copied to be looked at: it costs less than the search of its names
_PROTOCOL_BYTES = 11  # of protocol and frame, before anything is said


def needs_import(stream: bytes | bytearray | memoryview) -> bool:
    """Whether decoding it would import a module that this process has not."""
    if type(stream) is memoryview and len(stream) <= _SHORT_BYTES:
        stream = bytes(stream)
    # How it begins, up to the last name.
    at = stream.rfind(CALLS_A_NAME) if type(stream) is bytes else _HEAD_BYTES
    if at < _HEAD_BYTES and stream[_PROTOCOL_BYTES:at] in _known_heads:
        return False
    names = _NAMED.findall(stream)
    if not _known.issuperset(names) and not all(map(_is_loaded, names)):
        return True
    if type(stream) is memoryview or _SUBIMPORT in stream:
        named = (found[1] for found in _CALLED_WITH_TEXT.finditer(stream))
        return any(not (_is_loaded(name) or _is_type(name)) for name in named) and bool(re.search(_SUBIMPORT, stream))
    if type(stream) is bytes and names and 0 < at < _HEAD_BYTES:
        if len(_known_heads) >= _HEADS:  # most have something in them that is different each time
            _known_heads.clear()
        _known_heads.add(stream[_PROTOCOL_BYTES:at])
    return False


def _is_type(name: bytes) -> bool:
    """cloudpickle refers to types like that of functions by a call with their name in `types`."""
    return hasattr(types, name.decode("ascii", "replace"))


def _is_loaded(name: bytes) -> bool:
    if name == _FETCHED:
        return False
    module = sys.modules.get(name.decode("ascii", "replace"))
    if module is None or getattr(getattr(module, "__spec__", None), "_initializing", False):
        return False
    _known.add(name)
    return True
