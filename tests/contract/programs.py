"""DSPy programs as handlers, with language models that answer from a table. Imports dspy, which takes a second."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import dspy
from dspy import lm15
from dspy.utils import DummyLM

KNOWN = {
    "sky": {"reasoning": "looked up", "answer": "blue as it ever was"},
    "sea": {"reasoning": "swam there", "answer": "green"},
}
WAIT_S = 60.0
BARRIER = threading.Barrier(3)
PIECE = 5  # characters of a streamed piece


class Table:
    """An engine of DSPy's that answers from a table, and streams its answers piece by piece."""

    def __init__(self, answers: dict[str, dict[str, str]]) -> None:
        self._model = DummyLM(answers)

    def complete(self, request: Any) -> Any:
        return self._model._engine_spec.complete(request)

    def stream(self, request: Any) -> Iterator[Any]:
        for event in lm15.response_to_events(self.complete(request)):
            if isinstance(event, lm15.StreamDeltaEvent):
                yield from (_piece(event, at) for at in range(0, len(event.delta.text), PIECE))
            else:
                yield event

    def close(self) -> None:
        pass


class AsyncTable:
    """The same for asynchronous calls."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def complete(self, request: Any) -> Any:
        return self._table.complete(request)

    async def stream(self, request: Any) -> AsyncIterator[Any]:
        for event in self._table.stream(request):
            yield event

    async def aclose(self) -> None:
        pass


def _piece(event: Any, at: int) -> Any:
    return lm15.StreamDeltaEvent(delta=lm15.TextDelta(text=event.delta.text[at : at + PIECE], part_index=0))


def model(answers: dict[str, dict[str, str]]) -> dspy.LM:
    """A language model that knows these answers, each by a word of its question."""
    table = Table(answers)
    return dspy.LM("table/words", engine=table, async_engine=AsyncTable(table), cache=False)


class Answer(dspy.Module):
    """A program of two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.think = dspy.ChainOfThought("question -> answer")
        self.short = dspy.Predict("answer -> short")

    def forward(self, question: str) -> Any:
        return self.think(question=question)

    async def aforward(self, question: str) -> Any:
        return await self.think.acall(question=question)


class Assistant:
    """A program for all callers, and one for each session."""

    def __init__(self) -> None:
        self.program = Answer()

    def setup(self) -> None:
        dspy.configure(lm=model(KNOWN))

    def answer(self, question: str) -> str:
        return self.program(question=question).answer

    async def ask(self, question: str) -> str:
        return (await self.program.acall(question=question)).answer

    def answer_with(self, text: str, question: str) -> str:
        """Under settings of this call's own."""
        with dspy.context(lm=model({"": {"reasoning": "none", "answer": text}})):
            return self.program(question=question).answer

    def meet_with(self, text: str, question: str) -> str:
        """The same, while two other calls have settings of their own."""
        BARRIER.wait(WAIT_S)
        answer = self.answer_with(text, question)
        BARRIER.wait(WAIT_S)
        return answer

    async def stream(self, question: str) -> AsyncIterator[str]:
        listener = dspy.streaming.StreamListener(signature_field_name="answer", predict=self.program.think.predict)
        streamed = dspy.streamify(self.program, stream_listeners=[listener], is_async_program=True)
        async for item in streamed(question=question):
            yield item.answer if isinstance(item, dspy.Prediction) else item.chunk

    def fail(self) -> None:
        with dspy.context(lm=model({"": {"other": "field"}})):
            self.program(question="sky")

    def start(self, *, session: Any) -> None:
        session.state["program"] = Answer()

    def teach(self, question: str, answer: str, *, session: Any) -> int:
        predict = session.state["program"].think.predict
        predict.demos.append(dspy.Example(question=question, reasoning="told", answer=answer))
        return len(predict.demos)

    def look(self, *, session: Any) -> dict[str, Any]:
        program = session.state["program"]
        predict = program.think.predict
        return {
            "class": type(program).__name__,
            "fields": list(predict.signature.fields),
            "demos": [demo.answer for demo in predict.demos],
            "answer": program(question="sky").answer,
        }


def answered(program: Any, question: str) -> str:
    """What a program says under the worker's settings."""
    return program(question=question).answer


def taught() -> Any:
    """A program that an optimizer made."""
    examples = [dspy.Example(question=f"q{n}", answer=f"a{n}").with_inputs("question") for n in range(3)]
    return dspy.LabeledFewShot(k=2).compile(dspy.Predict("question -> answer"), trainset=examples)


def demos(program: Any) -> list[str]:
    return [demo.question for demo in program.demos]
