"""What no other process can import: classes made at run time, what a script has, modules only their loader finds."""

from __future__ import annotations

from pathlib import Path

from tests.processes.test_places import script


def test_what_a_script_makes_is_whole_in_every_worker(tmp_path: Path) -> None:
    """Classes with their metaclass's data, in calls, in a session's state, asleep and in a new worker; and back."""
    said = script(
        tmp_path,
        """
        import asyncio, functools, threading, millpond

        class Meta(type):
            def __new__(mcs, name, bases, namespace, **options):
                namespace.setdefault("fields", {})
                return super().__new__(mcs, name, bases, namespace)
        class Model(metaclass=Meta): pass
        class Base:
            registry = []
            def __init_subclass__(cls, *, kind, **options):
                cls.kind = kind
                Base.registry.append(cls)
        class Kid(Base, kind="x"):
            def kind_of(self): return self.kind

        lock = threading.Lock()

        @functools.lru_cache
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        def fields(model): return sorted(model.fields)
        def make(): return Meta("Made", (Model,), {"fields": {"answer": int}})
        def guarded(n):
            with lock: return fib(n)

        class Handler(Base, kind="y"):
            @functools.cached_property
            def loaded(self): return []
            def use(self, n):
                with lock: self.loaded.append(fib(n))
                return self.loaded
            def keep(self, model, *, session): session.state["model"] = model
            def look(self, *, session): return sorted(session.state["model"].fields)

        async def main():
            made = Meta("Made", (Model,), {"fields": {"question": str}})
            async with millpond.Pool(Handler, max_workers=1, sleep_after=0.1) as pool:
                print(await pool.run(fields, made), fields(await pool.run(make)), await pool.run(guarded, 20))
                print(await pool.call("use", 10), await pool.call("use", 20))
                kid = await pool.run(Kid)
                print(type(kid) is Kid, await pool.run(kid.kind_of), Base.registry == [Kid, Handler])
                async with pool.session("u") as session:
                    await session.call("keep", made)
                    while not pool.statistics().sessions_asleep:
                        await asyncio.sleep(0.01)
                    await pool.replace_workers()
                    print(await session.call("look"))
                try:
                    await pool.run(lambda: numbers)
                except millpond.BadArgument as error:
                    print(str(error)[str(error).index("TypeError"):])

        numbers = (n for n in range(3))
        asyncio.run(main())
        """,
    )
    assert said.splitlines() == [
        "['question'] ['answer'] 6765",
        "[55] [55, 6765]",
        "True x True",
        "['question']",
        "TypeError: cannot pickle 'generator' object (at main.<locals>.<lambda>.__globals__['numbers'])",
    ]


def test_a_module_that_only_its_loader_finds_works_in_the_workers(tmp_path: Path) -> None:
    """Its functions, its classes as handler, argument and result, and its exceptions, by which callers catch them."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "plug.py").write_text(
        "class Refused(Exception): pass\n"
        "class Number:\n    def __init__(self, n): self.n = n\n"
        "def double(x): return 2 * x\n"
        "def refuse(): raise Refused('no')\n"
        "class Handler:\n    def double(self, number): return Number(double(number.n))\n"
        "    def refuse(self): refuse()\n"
    )
    said = script(
        tmp_path,
        """
        import importlib.util, os, sys, traceback, millpond
        path = os.path.join(os.path.dirname(__file__), "elsewhere", "plug.py")
        spec = importlib.util.spec_from_file_location("plug_in", path)
        plug = sys.modules["plug_in"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(plug)
        with millpond.SyncPool(plug.Handler, max_workers=1) as pool:
            doubled = pool.call("double", plug.Number(4))
            print(pool.run(plug.double, 4), type(doubled) is plug.Number, doubled.n)
            for call in (lambda: pool.call("refuse"), lambda: pool.run(plug.refuse)):
                try:
                    call()
                except plug.Refused as error:
                    print(error, "raise Refused('no')" in str(error.__cause__))
        """,
    )
    assert said == "8 True 8\nno True\nno True\n"
