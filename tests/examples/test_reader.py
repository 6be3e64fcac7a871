"""The handler of the demo, without a pool."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from examples.demo.reader import DigitReader, train
from examples.demo.story import questions_of


@pytest.fixture(scope="module")
def model():
    """Trained once for all tests here."""
    return train()


@pytest.fixture
def reader(model, monkeypatch):
    """A reader as a forked worker makes it: the model is there already."""
    monkeypatch.setattr(DigitReader, "model", model)
    return DigitReader()


def test_two_trainings_say_the_same(model):
    """The second copy is a key to the first: training is deterministic."""
    assert train().read(model.images) == model.read(model.images)


def test_images_read_one_by_one_agree_with_the_key(model, reader):
    """What the key computes at once is what single calls answer."""
    questions = questions_of(model)
    assert len(questions) == len(model.images)
    assert all(reader.read(question.pixels) == question.expected for question in questions[:100])


def test_the_model_reads_what_it_has_not_seen(model):
    """It is a real model of real images: nine in ten and more are right."""
    right = sum(said == truth for said, truth in zip(model.read(model.images), model.truths, strict=True))
    assert right / len(model.truths) > 0.9


def test_workers_share_the_preloaded_model(model, reader):
    """Nothing is trained again where `preload` ran."""
    assert reader._model is model
    assert reader.cold_start() == model.cold_start


def test_a_session_keeps_its_running_score(model, reader):
    """Rounds and right answers grow in the session, which is named in the answer."""
    session = SimpleNamespace(id="player-1", state={})
    question = questions_of(model)[0]
    first = reader.play(question.pixels, question.expected, session=session)
    second = reader.play(question.pixels, question.expected + 1, session=session)
    assert first == (question.expected, 1, 1, "player-1", os.getpid())
    assert second[1:3] == (2, 1)
