"""What a handler offers: read from its class, without making one."""

from __future__ import annotations

import functools

import msgspec
import pytest

from millpond.wire.handlerspec import encode_arguments, encode_handler, load_arguments, load_handler
from millpond.worker.handler import facts_of, is_async, operations_of
from millpond.worker.main import describe


def wrapped(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Callable:
    def __call__(self, a):
        return a


class Base:
    def inherited(self, a):
        return a


class Handler(Base):
    constant = 3
    helper = Callable()

    class Nested:
        pass

    def setup(self): ...
    def warmup(self): ...
    def plain(self, a, b=1, /, c=2, *, d, e=3): ...
    def anything(self, *args, **kwargs): ...
    def talk(self, session, text): ...
    def stream(self):
        yield 1

    async def ask(self): ...
    async def asks(self):
        yield 1

    @staticmethod
    def static(a): ...
    @classmethod
    def klass(cls, a): ...
    @property
    def attribute(self):
        raise AssertionError("a property is not an operation, and is not run")

    @wrapped
    def decorated(self, a, b): ...

    partial = functools.partialmethod(plain, 1)

    def _private(self): ...


def fact(name):
    return next(facts for facts in facts_of(Handler).operations if facts.name == name)


def test_operations_are_the_public_methods():
    """Neither hooks, nor private names, nor what cannot be called; numbered by name."""
    assert [facts.name for facts in facts_of(Handler).operations] == [
        "anything",
        "ask",
        "asks",
        "decorated",
        "helper",
        "inherited",
        "klass",
        "partial",
        "plain",
        "static",
        "stream",
        "talk",
    ]
    assert facts_of(Handler).hooks == ("setup", "warmup")
    assert facts_of(Handler).name == "Handler"


def test_signatures_are_told_without_self_and_session():
    """Enough to check arguments without the class."""
    plain = fact("plain")
    assert (plain.positional, plain.positional_only, plain.required) == (("a", "b", "c"), 2, 1)
    assert (plain.keyword_only, plain.required_keywords) == (("d", "e"), ("d",))
    assert not plain.more_positional
    anything = fact("anything")
    assert (anything.positional, anything.more_positional, anything.more_keywords) == ((), True, True)
    assert fact("talk").session
    assert fact("talk").positional == ("text",)


@pytest.mark.parametrize("name", ["static", "klass", "inherited", "helper"])
def test_every_sort_of_method_has_its_parameters(name):
    """Whatever binds the first argument is left out, and nothing else."""
    assert fact(name).positional == ("a",)


def test_decorated_methods_show_what_they_wrap():
    """`functools.wraps` is followed for the signature."""
    assert fact("decorated").positional == ("a", "b")


def test_kinds_are_told_apart():
    """Plain, stream, async, async stream."""
    kinds = {facts.name: facts.kind for facts in facts_of(Handler).operations}
    assert (kinds["plain"], kinds["stream"], kinds["ask"], kinds["asks"]) == (
        "plain",
        "stream",
        "async",
        "async_stream",
    )


def test_native_methods_accept_anything():
    """A class of C tells no signatures."""

    class Native(dict):
        pass

    operations = {facts.name: facts for facts in facts_of(Native).operations}
    assert operations["update"].more_positional


def test_an_async_hook_asks_for_an_event_loop():
    """Even if every operation is plain."""

    class Plain:
        def go(self): ...

    class Hooked(Plain):
        async def setup(self): ...

    assert not is_async(Plain, facts_of(Plain))
    assert is_async(Hooked, facts_of(Hooked))


def test_functions_only_have_a_number_too():
    """A pool without a handler has operation 0."""
    facts = facts_of(None)
    assert (facts.operations, facts.hooks) == ((), ())
    assert [operation.name for operation in operations_of(None, facts)] == ["function"]


def test_facts_travel_as_plain_data():
    """The warden and READY send the same."""
    told = msgspec.msgpack.decode(msgspec.msgpack.encode(describe(Handler)))
    assert told["operations"][0]["name"] == "anything"


def test_an_importable_handler_travels_by_name():
    """The class found is the class given."""
    assert encode_handler(Handler) == {"name": f"{__name__}:Handler"}
    assert load_handler(encode_handler(Handler)) is Handler
    assert load_handler({"name": f"{__name__}:Handler.Nested"}) is Handler.Nested
    assert load_handler(encode_handler(None)) is None


def test_a_local_handler_travels_by_value():
    """Its methods and its closure come along."""
    greeting = "hello"

    class Local:
        def greet(self):
            return greeting

    spec = encode_handler(Local)
    assert set(spec) == {"pickle"}
    assert load_handler(spec)().greet() == "hello"


@pytest.mark.parametrize("handler", [3, Handler(), Handler().plain, lambda: None])
def test_what_is_no_class_is_refused(handler):
    """With the sentence that says what to give."""
    with pytest.raises(TypeError, match="must be a class"):
        encode_handler(handler)


@pytest.mark.parametrize("name", ["Handler", "module:", ":Class", "a b:Class", "a:b:c", "a.:B", ""])
def test_a_name_has_to_read_module_and_class(name):
    """Nothing is imported to find out."""
    with pytest.raises(ValueError, match="module:Class"):
        encode_handler(name)


def test_a_name_that_leads_to_no_class_is_refused_where_it_is_loaded():
    """The parent does not import it."""
    with pytest.raises(TypeError, match="no class"):
        load_handler(encode_handler("math:pi"))
    with pytest.raises(ModuleNotFoundError):
        load_handler(encode_handler("no_such_module:Handler"))


def test_arguments_travel_by_name_and_by_value():
    """Plain ones by pickle, others by cloudpickle."""
    args, kwargs = load_arguments(encode_arguments((1, lambda: 2), {"key": Handler}))
    assert (args[0], args[1](), kwargs) == (1, 2, {"key": Handler})
