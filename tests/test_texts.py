"""What is said of exceptions that are not the pool's own."""

from __future__ import annotations

from millpond.texts import text_of, words_of


class Mute(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


def test_an_exception_that_cannot_be_printed_is_told_of_all_the_same():
    """A handler's or a store's exception is the program's code: what its methods raise ends nothing in the core."""
    assert text_of(ValueError("too small")) == "ValueError: too small"
    assert text_of(Mute()) == "Mute: <no text: its __str__ raised KeyboardInterrupt>"
    assert words_of(Mute()).startswith("<no text")


def test_a_class_without_a_readable_name_ends_nothing():
    """Its metaclass is the program's code as well."""

    class Silent(type):
        def __getattribute__(cls, name):
            raise SystemExit

    class Shy(Exception, metaclass=Silent):
        """Says nothing of itself."""

    assert text_of(Shy("well")) == "an exception without a readable name: well"
