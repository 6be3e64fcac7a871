"""Kinds of DSPy: signatures, modules, programs, what optimizers make of them. Executed in `__main__`."""

from __future__ import annotations

from typing import Any, Literal

import dspy
import pydantic
from dspy.utils import DummyLM

from tests.faults.corpus.registry import kind


class Place(pydantic.BaseModel):
    name: str
    size: int = 1


class Sort(dspy.Signature):
    """Sort the text."""

    text: str = dspy.InputField(desc="what to sort")
    kind: Literal["a", "b"] = dspy.OutputField()
    places: list[Place] = dspy.OutputField()


class Answer(dspy.Module):
    def __init__(self, hints=3):
        super().__init__()
        self.hints = hints
        self.think = dspy.ChainOfThought("question, hint -> answer")
        self.steps = [dspy.Predict(Sort), dspy.Predict("answer -> short")]

    def forward(self, question):
        thought = self.think(question=question, hint=f"{self.hints} hints")
        return dspy.Prediction(answer=self.steps[1](answer=thought.answer).short, reasoning=thought.reasoning)


def answering() -> DummyLM:
    return DummyLM([{"reasoning": "r", "answer": "long", "short": "s", "kind": "a", "places": '[{"name": "n"}]'}] * 9)


def run(program: Any, **inputs: Any) -> Any:
    with dspy.context(lm=answering(), disable_history=True):
        return program(**inputs).toDict()


def look_up(word: str) -> str:
    """Look a word up."""
    return word.upper()


def exact(example, prediction, trace=None):
    return bool(prediction.answer)


def examples() -> list[dspy.Example]:
    return [dspy.Example(question=f"q{n}", answer=f"a{n}").with_inputs("question") for n in range(4)]


def labeled() -> Any:
    return dspy.LabeledFewShot(k=2).compile(dspy.Predict("question -> answer"), trainset=examples())


def bootstrapped() -> Any:
    optimizer = dspy.BootstrapFewShot(metric=exact, max_bootstrapped_demos=1, max_labeled_demos=1)
    with dspy.context(lm=answering()):
        return optimizer.compile(Answer(), trainset=examples())


def with_its_own_lm() -> Any:
    program = dspy.Predict("question -> answer")
    program.set_lm(DummyLM({"ask me": {"answer": "mine"}}))
    return program


def shape(signature: Any) -> Any:
    fields = [(name, str(field.annotation), field.json_schema_extra) for name, field in signature.fields.items()]
    return signature.instructions, list(signature.input_fields), list(signature.output_fields), fields


def parts(program: Any) -> Any:
    return [
        (name, shape(one.signature), [demo.toDict() for demo in one.demos]) for name, one in program.named_predictors()
    ]


def changed() -> Any:
    return (
        dspy.Signature("question -> answer").with_instructions("Be brief.").append("score", dspy.OutputField(), float)
    )


kind("signature from text", lambda: dspy.Signature("question, n: int -> answer, ok: bool"), shape)
kind("signature of the script", lambda: Sort, lambda it: (shape(it), it.__name__, issubclass(it, dspy.Signature)))
kind("signature that was changed", changed, shape)
kind("Predict", lambda: dspy.Predict("question -> answer"), lambda it: (parts(it), run(it, question="q")))
kind("Predict with typed outputs", lambda: dspy.Predict(Sort), lambda it: (parts(it), str(run(it, text="t"))))
kind("ChainOfThought", lambda: dspy.ChainOfThought("question -> answer"), lambda it: (parts(it), run(it, question="q")))
kind("program of the script", lambda: Answer(5), lambda it: (it.hints, parts(it), run(it, question="q")))
kind("class of a program", lambda: Answer, lambda it: (parts(it(1)), run(it(2), question="q")))
kind("program after LabeledFewShot", labeled, parts)
kind("program after BootstrapFewShot", bootstrapped, lambda it: (parts(it), run(it, question="q")))
kind("program with a language model of its own", with_its_own_lm, lambda it: it(question="ask me").answer)
kind(
    "ReAct with the script's tools",
    lambda: dspy.ReAct("question -> answer", tools=[look_up]),
    lambda it: (parts(it), it.tools["look_up"](word="w")),
)
kind("tool", lambda: dspy.Tool(look_up), lambda it: (it.name, it.desc, it(word="w"), str(it.args)))
kind("examples", examples, lambda it: [(one.toDict(), list(one.inputs().keys())) for one in it])
kind("prediction", lambda: dspy.Prediction(answer="a", n=1), lambda it: (it.answer, it.toDict()))
kind("language model", lambda: dspy.LM("openai/none", temperature=0.5), lambda it: (it.model, it.kwargs["temperature"]))
kind("adapters", lambda: [dspy.ChatAdapter(), dspy.JSONAdapter()], lambda it: [type(one).__name__ for one in it])
kind(
    "BestOfN",
    lambda: dspy.BestOfN(dspy.Predict("question -> answer"), N=2, reward_fn=lambda args, it: 1.0, threshold=1.0),
    lambda it: (it.N, parts(it)),
)
kind("state of a program", lambda: labeled().dump_state(), lambda it: sorted(it))
