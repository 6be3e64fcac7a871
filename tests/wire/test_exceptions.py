"""What reaches the caller of what a handler raised: the exception itself where it can, its description always."""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime
import gc
import os
import pickle
import signal
import sys
import traceback
import weakref
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from millpond.errors import BadArgument, Cancelled, HandlerError, Interrupted, PoolError, QueueFull
from millpond.wire import imports
from millpond.wire.exceptions import CARRIED_LIMIT, RemoteTraceback, as_raised, describe, restore
from millpond.wire.frames import ProtocolError
from millpond.wire.plain import encode_exception


class TwoArguments(Exception):
    """Cannot be made again from its `args`."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


class Exits(Exception):
    """Every hook that carrying an exception could use ends the program."""

    def __reduce__(self) -> Any:
        sys.exit(3)


class Interrupts(Exception):
    """Would interrupt whoever takes it apart, sets it up or compares it."""

    def _interrupt(self, *_: object) -> Any:
        raise KeyboardInterrupt

    __reduce__ = __getstate__ = __setstate__ = __eq__ = _interrupt
    __hash__ = None  # type: ignore[assignment]


class ExitsWhenUnpickled(Exception):
    """Its pickle calls what is not its own."""

    def __reduce__(self) -> Any:
        return os._exit, (3,)


class ExitsWhenMade(Exception):
    """A second one cannot be made."""

    made = 0

    def __init__(self) -> None:
        ExitsWhenMade.made += 1
        if ExitsWhenMade.made > 1:
            sys.exit(3)


class BadRepr(Exception):
    """Cannot be printed in a debugger."""

    def __repr__(self) -> str:
        raise SystemExit(3)


class BadText(Exception):
    """Cannot be printed at all."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


class NoText(Exception):
    """Its text is of an attribute that it has not."""

    def __str__(self) -> str:
        return str(self.detail)  # type: ignore[attr-defined]

    __repr__ = __str__


class Outside:
    """No plain data, and what a pickle carries."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outside) and self.value == other.value

    def __hash__(self) -> int:
        return self.value


class Attributes(Exception):
    """The ordinary exception of an application."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


def raised(error: BaseException) -> BaseException:
    """The error with a traceback, as the worker has it."""
    try:
        raise error
    except BaseException as caught:
        return caught


def carry(error: BaseException, codec: str = "pickle") -> BaseException:
    """From the worker to the caller."""
    return restore(describe(raised(error), codec), codec)


def test_an_exception_arrives_as_itself():
    """Type, arguments and attributes: `except` clauses work as if there were no process between."""
    error = Attributes("text", 7)
    out = carry(error)
    assert type(out) is Attributes
    assert (out.args, out.code, str(out)) == (("text",), 7, "text")


def test_an_exception_that_could_not_be_printed_before_arrives_as_itself():
    """Its text is as wrong in the worker; that is no reason why an `except` clause should miss it."""
    for error in (NoText(1), NoText(Outside(1))):
        out = carry(error)
        assert type(out) is NoText
        with pytest.raises(AttributeError, match="detail"):
            str(out)


def test_the_cause_is_the_workers_traceback():
    """A traceback printed at the caller shows where the handler failed."""
    for codec in ("pickle", "msgpack"):
        out = carry(ValueError("text"), codec)
        assert isinstance(out.__cause__, RemoteTraceback)
        assert "in raised" in str(out.__cause__)
        assert out.__suppress_context__
        printed = "".join(traceback.format_exception(out))
        assert printed.index("in raised") < printed.index("direct cause") < printed.rindex("ValueError: text")


@pytest.mark.parametrize(
    "error",
    [
        Exits("text"),
        Interrupts("text"),
        ExitsWhenUnpickled("text"),
        BadRepr("text"),
        BadText("text"),
        type("Local", (Exits,), {})("text"),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        Interrupted(),
        StopIteration(1),
        StopAsyncIteration(),
        QueueFull("not the pool's own"),
        PoolError.__new__(PoolError),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_be_carried_arrives_as_handler_error(error: BaseException):
    """With the type's name, the text and the worker's traceback; whatever the exception does to prevent it."""
    out = carry(error)
    assert type(out) is HandlerError
    assert out.type_name.endswith(type(error).__qualname__)
    assert "in raised" in out.traceback
    assert out.outcome == "completed"
    assert out.type_name in str(out)


@pytest.mark.parametrize("error", [Interrupted(), QueueFull("full"), Exits("text")])
def test_what_must_not_arrive_as_itself_is_not_even_sent(error: BaseException):
    """An honest worker adds no exception that the parent would refuse."""
    assert msgspec.msgpack.decode(describe(raised(error), "pickle"))["carried"] is None


def test_an_exception_that_cannot_be_made_twice_arrives_as_itself():
    """Its constructor is not called again."""
    out = carry(ExitsWhenMade())
    assert (type(out), ExitsWhenMade.made) == (ExitsWhenMade, 1)


def test_as_raised_a_true_interrupt_passes(monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C in the parent is not mistaken for a failing constructor."""
    error = carry(Attributes("text", cast("int", Outside(2))))

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    monkeypatch.setattr(Attributes, "__init__", lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with pytest.raises(KeyboardInterrupt):
            as_raised(error)
    finally:
        signal.signal(signal.SIGINT, before)


def test_as_raised_an_exception_that_interrupts_when_it_is_made_is_what_arrived(monkeypatch: pytest.MonkeyPatch):
    """Its class is the program's, and its constructor may raise anything: that is no Ctrl-C."""
    error = carry(Attributes("text", cast("int", Outside(2))))

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Attributes, "__init__", interrupted)
    assert as_raised(error) is error


def test_a_remote_traceback_can_be_pickled():
    """Errors travel on, to another pool or into a log; their cause goes with them."""
    twin = pickle.loads(pickle.dumps(RemoteTraceback("text")))
    assert (str(twin), twin.tb) == (str(RemoteTraceback("text")), "text")


def test_the_text_of_what_cannot_be_carried_arrives():
    """As `str()` gave it; the message of the error has it too."""
    out = carry(Exits("one and two"))
    assert isinstance(out, HandlerError)
    assert out.text == "one and two"
    assert str(out) == f"the handler raised {__name__}.Exits: one and two"


class Parsing(Exception):
    """As libraries write them: it takes what it keeps, and its message is made of that."""

    def __init__(self, name: str, signature: type, text: str, parsed: Any = None) -> None:
        self.name, self.signature, self.text, self.parsed = name, signature, text, parsed
        super().__init__(f"{name} could not parse {text}")


class Unprintable:
    """Has no `repr`."""

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("parsed", "told"),
    [(None, None), ({"a": 1}, {"a": 1}), (Unprintable(), f"<{__name__}.Unprintable object>"), (len, repr(len))],
)
def test_an_exception_keeps_its_class_though_not_all_of_it_can_travel(parsed: object, told: object):
    """Its arguments are as they were; attributes that are no plain data are their `repr`."""
    error = Parsing("x", int, "{", parsed)
    out = carry(error)
    assert (type(out), out.args, str(out)) == (Parsing, error.args, str(error))
    assert out.__dict__ == {"name": "x", "signature": "<class 'int'>", "text": "{", "parsed": told}


def test_what_is_too_large_for_an_exception_loses_its_middle():
    """The exception keeps its class and all else."""
    out = carry(ValueError(b"x" * CARRIED_LIMIT, 5))
    assert type(out) is ValueError
    assert len(out.args[0]) < 2000
    assert out.args[1] == 5


def test_arguments_that_cannot_travel_are_told():
    """Each is its `repr`, in its place; in a group's members too, which stay exceptions."""
    out = carry(ExceptionGroup("group", [ValueError(len, 1), FileNotFoundError(2, "none", "name", None, "other")]))
    assert isinstance(out, ExceptionGroup)
    value, missing = out.exceptions
    assert value.args == (repr(len), 1)
    assert (missing.args, missing.filename, missing.filename2) == ((2, "none"), "name", "other")


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        KeyboardInterrupt("x"),
        GeneratorExit(),
        StopIteration(1),
        StopAsyncIteration(),
        asyncio.CancelledError("x"),
        ValueError(datetime.datetime, [len]),
        Attributes("text", cast("int", {1: Outside(2)})),
    ],
    ids=repr,
)
def test_as_raised_an_exception_is_what_the_standard_pool_gives(error: BaseException):
    """Exits too, and with arguments and attributes that are no plain data; the traceback is its cause."""
    out = as_raised(carry(error))
    assert (type(out), out.args, out.__dict__) == (type(error), error.args, error.__dict__)
    assert isinstance(out.__cause__, RemoteTraceback)
    assert "in raised" in out.__cause__.tb


@pytest.mark.parametrize(
    "error", [QueueFull("not the pool's own"), Interrupted(), Exits("x"), ExitsWhenUnpickled(), BadText("x")]
)
def test_as_raised_what_does_not_travel_is_a_handler_error(error: BaseException):
    """What would claim to be the pool's own, and what exits when it is taken apart or printed."""
    assert type(as_raised(carry(error))) is HandlerError


def test_as_raised_the_pools_own_errors_are_themselves():
    """A death, a deadline, a refusal: the standard pool has no such word for them."""
    for error in (QueueFull("full"), HandlerError("text"), Cancelled(), BadArgument("wrong")):
        assert as_raised(error) is error


def test_as_raised_an_exception_of_a_module_that_is_not_loaded_imports_nothing(monkeypatch: pytest.MonkeyPatch):
    """Its pickle came, and would import it on the loop's thread."""
    body = describe(raised(ValueError(Attributes)), "pickle")
    monkeypatch.delitem(sys.modules, __name__)
    monkeypatch.setattr(imports, "_known", set())
    monkeypatch.setattr(imports, "_known_heads", set())
    assert as_raised(restore(body, "pickle")).args == (repr(Attributes),)
    assert __name__ not in sys.modules


def test_a_pickle_that_came_along_is_not_opened_but_for_an_executor(tmp_path: Path):
    """A pool's callers get data; under msgpack there is none at all."""
    evil = pickle.dumps(Evil(f"touch {tmp_path / 'marker'}"))
    for codec in ("pickle", "msgpack"):
        restore(body_with(None, pickled=evil), codec)
        restore(body_with(encode_exception(ValueError(1), CARRIED_LIMIT)[0], pickled=evil), codec)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError("text"), Attributes("text"), Exits("text"), SystemExit(3)])
def test_other_codecs_carry_the_description_only(error: BaseException):
    """Data travels, exceptions do not."""
    out = carry(error, "msgpack")
    assert type(out) is HandlerError
    assert out.text == str(error)


def test_under_msgpack_an_exception_in_the_body_is_not_looked_at():
    """A worker that adds one finds that nobody reads it."""
    body = describe(raised(Attributes("text")), "pickle")
    assert type(restore(body, "pickle")) is Attributes
    assert type(restore(body, "msgpack")) is HandlerError


def test_a_class_the_parent_has_not_loaded_arrives_as_handler_error(monkeypatch: pytest.MonkeyPatch):
    """The caller could not name it in an `except` clause either; nothing is imported to find it."""
    body = describe(raised(Attributes("text")), "pickle")
    monkeypatch.delitem(sys.modules, __name__)
    out = restore(body, "pickle")
    assert type(out) is HandlerError
    assert out.type_name == f"{__name__}.Attributes"
    assert __name__ not in sys.modules


def test_an_exception_of_the_callers_script_arrives_as_itself(monkeypatch: pytest.MonkeyPatch):
    """In the worker the script is not `__main__`; in the parent its classes are found there."""
    Guest = type("Guest", (Exception,), {"__module__": "__main__"})
    body = describe(raised(Guest("text")), "pickle")
    assert type(restore(body, "pickle")) is HandlerError
    monkeypatch.setattr(sys.modules["__main__"], "Guest", Guest, raising=False)
    assert type(restore(body, "pickle")) is Guest


def test_an_exception_goes_with_its_last_reference():
    """It is in no cycle with its cause: what its traceback holds at the caller is free at once."""
    gc.disable()
    try:
        for error in (Attributes("text"), Attributes("text", cast("int", Outside(2)))):
            out = carry(error)
            whole = as_raised(carry(error))
            gone = [weakref.ref(out), weakref.ref(whole)]
            del out, whole
            assert [ref() for ref in gone] == [None, None]
    finally:
        gc.enable()


def test_each_caller_gets_an_exception_of_its_own():
    """Restoring twice gives two exceptions; a traceback grown at one caller is not seen by another."""
    body = describe(raised(ValueError("text")), "pickle")
    assert restore(body, "pickle") is not restore(body, "pickle")


def body_with(carried: Any, **more: Any) -> bytes:
    """The body of a hostile worker."""
    facts = {"type": "ValueError", "text": "forged", "traceback": "forged", "carried": carried, **more}
    return msgspec.msgpack.encode(facts)


class Evil:
    """Its pickle runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return (os.system, (self.command,))


class Stateful(Exception):
    """Its state runs code."""

    ran: list[object] = []

    def __setstate__(self, state: object) -> None:
        Stateful.ran.append(state)


def test_a_forged_exception_runs_nothing(tmp_path: Path):
    """Pickles of every shape, alone or inside, are refused or are bytes; the caller gets the text."""
    command = f"touch {tmp_path / 'marker'}"
    stateful = Stateful()
    stateful.extra = 1  # type: ignore[attr-defined]
    pickles = [
        pickle.dumps(Evil(command)),
        pickle.dumps(ValueError(Evil(command))),
        pickle.dumps(stateful),
        b"cos\nsystem\n(V" + command.encode() + b"\ntR.",
        b"cbuiltins\neval\n(Vopen('x')\ntR.",
        b"\x80\x04\x82\x01.",
    ]
    for evil in pickles:
        for codec in ("pickle", "msgpack"):
            out = restore(body_with(evil, pickled=evil), codec)
            assert type(out) is HandlerError
            assert (out.type_name, out.text, out.traceback) == ("ValueError", "forged", "forged")
    assert (list(tmp_path.iterdir()), Stateful.ran) == ([], [])


@pytest.mark.parametrize("error", [StopIteration(1), SystemExit(3), concurrent.futures.BrokenExecutor("x")])
def test_a_forged_exception_of_a_forbidden_class_is_refused(error: BaseException):
    """What would mean something else in a future, or claim to be the pool's own, arrives as text; others pass."""
    data = encode_exception(error, CARRIED_LIMIT)[0]
    expected = HandlerError if isinstance(error, StopIteration | SystemExit) else type(error)
    assert type(restore(body_with(data), "pickle")) is expected


def test_a_forged_pool_error_is_refused():
    """A worker cannot say `queue_full` in the pool's name."""
    data = msgspec.msgpack.encode(["e", "millpond.errors", "QueueFull", ["forged"], [], None])
    assert type(restore(body_with(data), "pickle")) is HandlerError


def test_a_forged_exception_is_bounded():
    """What an honest worker would not send is not decoded."""
    data = msgspec.msgpack.encode(["e", "builtins", "ValueError", [b"x" * CARRIED_LIMIT], [], None])
    assert type(restore(body_with(data), "pickle")) is HandlerError


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"text",
        msgspec.msgpack.encode([1]),
        msgspec.msgpack.encode({"type": "x"}),
        body_with(5),
        b"\x91" * 200_000,
    ],
)
def test_a_body_that_is_no_description_is_a_breach_of_the_protocol(body: bytes):
    """The engine counts it, logs it and replaces the worker."""
    for codec in ("pickle", "msgpack"):
        with pytest.raises(ProtocolError):
            restore(body, codec)


def test_a_description_fits_beside_the_largest_payload():
    """It is always smaller than what a frame may hold beyond `max_payload`: 1 MiB."""
    error = ValueError("x" * 10**6, b"y" * (CARRIED_LIMIT // 2))
    assert len(describe(raised(error), "pickle")) < 2**20
    assert len(describe(raised(ValueError("ü" * 10**6)), "pickle")) < 2**20
