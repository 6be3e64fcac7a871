"""What is said of exceptions, whatever they do to prevent it."""

from __future__ import annotations

import sys

import pytest

from millpond.wire.wording import TEXT_LIMIT, TRACEBACK_LIMIT, error_text, plain_text, traceback_text, type_name


class NastyName(type):
    """A metaclass that hides the names of its classes."""

    @property
    def __module__(cls) -> str:
        sys.exit(3)


class Nasty(Exception):
    """Every way of printing it ends the program."""

    def __str__(self) -> str:
        sys.exit(1)

    def __repr__(self) -> str:
        sys.exit(2)


class Spoof(str):
    """A text whose methods lie."""

    def encode(self, *args, **kwargs):
        sys.exit(4)

    def __len__(self) -> int:
        return 0


def raised(error: BaseException) -> BaseException:
    """The error with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


def test_names_are_qualified_but_for_builtins():
    """A reader can find the class; `ValueError` needs no address."""
    assert type_name(ValueError) == "ValueError"
    assert type_name(Nasty) == f"{__name__}.Nasty"


def test_a_class_that_hides_its_name_gets_a_phrase():
    """Not even a metaclass can stop the telling."""
    assert "readable name" in type_name(NastyName("Hidden", (Exception,), {}))


def test_an_error_without_text_says_so():
    """`SystemExit` out of `__str__` ends up in the text and nowhere else."""
    assert error_text(ValueError("the text")) == "the text"
    assert "SystemExit" in error_text(Nasty())


def test_tracebacks_show_frames_and_causes():
    """The text is what Python would have printed."""
    error = raised(ValueError("outer"))
    error.__cause__ = raised(KeyError("inner"))
    text = traceback_text(error)
    assert text.index("KeyError: 'inner'") < text.index("direct cause") < text.index("ValueError: outer")
    assert "in raised" in text


@pytest.mark.parametrize("error", [Nasty(), ExceptionGroup("group", [Nasty()]), SystemExit(3), KeyboardInterrupt()])
def test_every_traceback_can_be_told(error: BaseException):
    """Errors that fight back still leave the frames they passed through."""
    assert "in raised" in traceback_text(raised(error))


def test_a_broken_traceback_printer_leaves_the_frames(monkeypatch: pytest.MonkeyPatch):
    """If the standard printer fails the error's own frames are told."""
    error = raised(ValueError("kept"))

    def fail(*args: object) -> None:
        sys.exit(5)

    monkeypatch.setattr("traceback.format_exception", fail)
    assert "in raised" in traceback_text(error)
    assert "ValueError: kept" in traceback_text(error)
    monkeypatch.setattr("traceback.format_tb", fail)
    assert traceback_text(error) == "ValueError: kept\n"


def test_what_is_too_long_loses_its_middle():
    """Both ends stay: the head says what, the tail of a traceback says where."""
    text = plain_text("a" * 600 + "b" * 600, 1000)
    assert text == "a" * 500 + "\n... 200 characters left out ...\n" + "b" * 500
    assert plain_text("a" * 1000, 1000) == "a" * 1000
    assert len(error_text(ValueError("x" * 10**6))) < TEXT_LIMIT + 100
    assert len(traceback_text(ValueError("x" * 10**6))) < TRACEBACK_LIMIT + 100


def test_the_text_is_an_exact_string_that_utf8_can_carry():
    """Lone surrogates and subclasses of `str` do not get through."""
    text = plain_text(Spoof("half \ud800 pair"), 100)
    assert type(text) is str
    assert text == "half \\ud800 pair"
