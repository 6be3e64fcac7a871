"""What may be logged of an exception."""

from millpond.logger.escaping import brief_of


def raised(error):
    """An exception that was raised two calls deep."""

    def inner():
        raise error

    try:
        inner()
    except BaseException as found:
        return found


def test_an_exception_is_described_by_its_type_and_places():
    """The innermost call first: that is where to look."""
    told = brief_of(raised(ValueError("a secret")))
    assert told.startswith(f"ValueError in inner ({__file__}:")
    assert f" < raised ({__file__}:" in told
    assert "secret" not in told


def test_one_that_was_never_raised_has_no_place():
    """Nothing is made up."""
    assert brief_of(ValueError("a secret")) == "ValueError in code without a place"


def test_a_name_that_lies_is_escaped():
    """A class may be named anything."""
    told = brief_of(type("Fine\n2026 CRITICAL forged", (Exception,), {})())
    assert told == r"Fine\n2026 CRITICAL forged in code without a place"


def test_a_class_without_a_readable_name_does_no_harm():
    """What its metaclass raises ends nothing."""

    class Silent(type):
        def __getattribute__(cls, name):
            raise ValueError

    kind = Silent("kind", (Exception,), {})
    assert brief_of(kind()) == "an exception without a readable name in code without a place"


def test_one_that_cannot_be_asked_anything_is_described_all_the_same():
    """Whoever notes what a program's code raised can rely on it: neither attribute nor metaclass ends that."""

    class Silent(type):
        def __getattribute__(cls, name):
            raise KeyboardInterrupt

    class Shy(Exception, metaclass=Silent):
        def __getattribute__(self, name):
            raise SystemExit

    told = brief_of(raised(Shy()))
    assert told.startswith("an exception without a readable name in inner (")
