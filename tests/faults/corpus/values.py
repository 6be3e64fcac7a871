"""Kinds of values that are no functions and classes of the script. Executed in `__main__`."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import inspect
import io
import ipaddress
import logging
import math
import pathlib
import random
import re
import string
import struct
import typing
import urllib.parse
import uuid
import zoneinfo

from tests.faults.corpus.registry import kind


def shared_list():
    inner = [1]
    return [inner, inner, {"k": inner}]


def ring_of_containers():
    it = [1]
    it.append({"it": it})
    return it


def table_of_tuples():
    it = {}
    it["t"] = (it, 1)
    return it


def defaulted():
    it = collections.defaultdict(lambda: ["new"])
    it["a"].append(1)
    return it


def seeded():
    it = random.Random(5)
    it.random()
    return it


def halfway():
    it = iter([1, 2, 3])
    next(it)
    return it


def read_from():
    it = io.BytesIO(b"abcdef")
    it.read(2)
    return it


class Users(collections.UserDict):
    def __getitem__(self, key):
        return super().__getitem__(key) + 1


ZURICH = zoneinfo.ZoneInfo("Europe/Zurich")
SUMMER = datetime.datetime(2026, 7, 1, 12, 30, tzinfo=ZURICH)

kind(
    "numbers",
    lambda: [2**80, -1, -0.0, 1e-300, True, 1, 1.0, 2 + 3j],
    lambda it: [(type(x).__name__, repr(x)) for x in it],
)
kind("nan and infinities", lambda: [math.nan, math.inf, -math.inf], lambda it: [repr(x) for x in it])
kind("text", lambda: ["", "ü", "\0", "𝄞", "\ud800", "x" * 3000], lambda it: [(len(x), ascii(x[:3])) for x in it])
kind(
    "bytes",
    lambda: [b"\0\xff", bytearray(b"ab"), b"x" * 200_000],
    lambda it: [(type(x).__name__, len(x), x[:2]) for x in it],
)
kind(
    "nested containers",
    lambda: {"a": [(1, {2: frozenset({3})})], (1, 2): None},
    lambda it: (it["a"][0][1][2], list(it)),
)
kind("shared objects", shared_list, lambda it: (it[0] is it[1], it[2]["k"] is it[0]))
kind("recursive list", ring_of_containers, lambda it: it[1]["it"] is it)
kind("recursive tuple", table_of_tuples, lambda it: it["t"][0] is it)
kind(
    "constants",
    lambda: [None, ..., NotImplemented, True],
    lambda it: [x is y for x, y in zip(it, [None, ..., NotImplemented, True], strict=True)],
)
kind("range and slice", lambda: (range(1, 9, 2), slice(1, None)), lambda it: (list(it[0]), [0, 1, 2][it[1]]))
kind("deque", lambda: collections.deque([1, 2, 3], maxlen=3), lambda it: (list(it), it.maxlen))
kind("defaultdict", defaulted, lambda it: (it["a"], it["zz"], type(it).__name__))
kind(
    "Counter and OrderedDict",
    lambda: (collections.Counter("aab"), collections.OrderedDict(b=1, a=2)),
    lambda it: (it[0].most_common(), list(it[1])),
)
kind(
    "ChainMap and UserDict",
    lambda: (collections.ChainMap({"a": 1}, {"a": 2, "b": 3}), Users(a=1)),
    lambda it: (it[0]["a"], it[0]["b"], it[1]["a"]),
)
kind("views of a dictionary", lambda: ({"a": 1}.keys(), {"a": 1}.items()), lambda it: (list(it[0]), list(it[1])))
kind("array", lambda: array.array("d", [1.5, 2]), lambda it: (it.typecode, list(it)))
kind(
    "decimal",
    lambda: (decimal.Decimal("1.10"), decimal.Context(prec=3)),
    lambda it: (str(it[0]), it[1].prec, str(it[1].divide(1, 3))),
)
kind("fraction", lambda: fractions.Fraction(1, 3), lambda it: str(it + 1))
kind("datetime with a zone", lambda: SUMMER, lambda it: (it.isoformat(), it.tzinfo is ZURICH, it.tzname()))
kind(
    "dates",
    lambda: (datetime.date(2026, 1, 2), datetime.timedelta(1, 2), datetime.timezone(datetime.timedelta(hours=2), "X")),
    lambda it: [str(x) for x in it],
)
kind("zone", lambda: ZURICH, lambda it: (it.key, str(datetime.datetime(2026, 1, 1, tzinfo=it))))
kind("UUID", lambda: uuid.UUID(int=5), lambda it: str(it))
kind(
    "paths",
    lambda: [pathlib.Path("a") / "b", pathlib.PureWindowsPath("c:/x")],
    lambda it: [(type(x).__name__, str(x), x.name) for x in it],
)
kind(
    "regex",
    lambda: re.compile(r"(?P<n>\d+)", re.IGNORECASE),
    lambda it: (it.match("12").groupdict(), it.flags, it.pattern),
)
kind(
    "addresses",
    lambda: [ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8")],
    lambda it: [str(x) for x in it],
)
kind("URL", lambda: urllib.parse.urlsplit("http://u@h:1/p?q=1#f"), lambda it: (it.hostname, it.port, it.geturl()))
kind("random generator", seeded, lambda it: random.Random.getrandbits(it, 0) or it.getstate()[1][-1])
kind(
    "Template and Struct",
    lambda: (string.Template("$a!"), struct.calcsize),
    lambda it: (it[0].substitute(a=1), it[1]("<i")),
)
kind("list iterator", halfway, lambda it: it.__length_hint__())
kind(
    "BytesIO and StringIO",
    lambda: (read_from(), io.StringIO("text")),
    lambda it: (it[0].tell(), it[0].getvalue(), it[1].getvalue()),
)
kind(
    "typing objects",
    lambda: [
        list[int],
        typing.Optional[int],  # noqa: UP045
        typing.Callable[[int], str],
        typing.Literal["a"],
        typing.Annotated[int, "x"],
        int | None,
    ],
    lambda it: [str(x) for x in it],
)
kind("signature", lambda: inspect.signature(lambda a, *, b=2: None), lambda it: (str(it), it.bind(1, b=3).arguments))
kind("module", lambda: math, lambda it: (it.floor(1.5), it.__name__))
kind("logger", lambda: logging.getLogger("corpus.log"), lambda it: (it.name, it is logging.getLogger("corpus.log")))
kind(
    "exceptions",
    lambda: [ValueError("x"), KeyError(1), OSError(2, "no", "f"), UnicodeDecodeError("ascii", b"\xff", 0, 1, "why")],
    lambda it: [(repr(x), str(x)) for x in it],
)
kind("types", lambda: [int, type, type(None), type(len), collections.abc.Mapping], lambda it: [x.__name__ for x in it])
kind("object()", lambda: dict.fromkeys(["a", "b"], object()), lambda it: (it["a"] is it["b"], type(it["a"]).__name__))
kind("memoryview", lambda: memoryview(b"abc"), lambda it: bytes(it))
