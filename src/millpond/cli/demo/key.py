"""The answer key: what a second copy of the model, which the pool never touches, says to each image.

An answer that belongs to another call is noticed because it is held against the key of the image that was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from millpond.cli.demo.model import Model, Pixels


@dataclass(frozen=True, slots=True)
class Question:
    """One image with what is on it, and what the model must say."""

    pixels: Pixels
    truth: int
    expected: int


class AnswerKey:
    """The questions, each with its answer."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = questions

    def draw(self, random: Random) -> Question:
        """A question at random."""
        return random.choice(self.questions)


def key_from(model: Model) -> AnswerKey:
    """A question of every image the model has not seen."""
    known = zip(model.images, model.truths, model.read_all(), strict=True)
    return AnswerKey([Question(image, truth, said) for image, truth, said in known])
