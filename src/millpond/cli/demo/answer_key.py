"""The answer key: what a second copy of the model, unknown to the pools, reads on each image, and how fast it reads.

Made in a process of its own, so that the program that serves imports nothing of the model and has no pause by it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from millpond import Pool
from millpond.cli.demo.reader import Model, train
from millpond.settings import Settings

SHEET_S = 0.04  # what a worker shall take for one
LEAST, MOST = 16, 512  # images on a sheet
TRIES = 5  # measurements, of which the fastest counts: others may have used the core in the rest


class Sheet(NamedTuple):
    """What is asked: images, what is on them, and what the model must say."""

    images: list[list[int]]
    truths: list[int]
    expected: list[int]


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """Images the model has not seen, their truths, what the second copy answers, and the seconds a sheet takes it."""

    images: list[list[int]]
    truths: list[int]
    answers: list[int]
    sheet_images: int
    sheet_s: float

    def sheet(self, random: Random) -> Sheet:
        """A sheet of images, drawn anew."""
        chosen = random.choices(range(len(self.images)), k=self.sheet_images)
        images, truths, answers = ([column[index] for index in chosen] for column in self._columns)
        return Sheet(images, truths, answers)

    @property
    def _columns(self) -> tuple[list[Any], ...]:
        return self.images, self.truths, self.answers


def make_key() -> AnswerKey:
    """Train the copy, read all images, and measure."""
    model = train()
    one_image_s = _seconds_of(model, LEAST) / LEAST
    size = min(max(LEAST, round(SHEET_S / one_image_s)), MOST)
    return AnswerKey(model.images, model.truths, model.read(model.images), size, _seconds_of(model, size))


def _seconds_of(model: Model, images: int) -> float:
    """What reading a sheet of so many images takes at best."""
    sheet, times = model.images[:images], []
    for _ in range(TRIES):
        began = time.perf_counter()
        model.read(sheet)
        times.append(time.perf_counter() - began)
    return min(times)


async def ask_for_key() -> AnswerKey:
    """Have it made, in a worker that is there for that alone."""
    unseen = Settings(max_workers=1, deadline=None, metrics=False, alerts=False, optimizer=False)
    async with Pool(None, name="answer-key", settings=unseen) as process:
        made: AnswerKey = await process.run(make_key)
    return made
