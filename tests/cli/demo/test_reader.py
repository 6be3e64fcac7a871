"""The handler of the demo, without a pool, and the answer key."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import pytest

from millpond.cli.demo.answer_key import LEAST, MOST, make_key
from millpond.cli.demo.reader import DigitReader, train


@pytest.fixture(scope="module")
def model():
    """Trained once for all tests here."""
    return train()


@pytest.fixture(scope="module")
def key():
    """Made once for all tests here, by a model of its own."""
    return make_key()


@pytest.fixture
def reader(model, monkeypatch):
    """A reader as a forked worker makes it: the model is there already."""
    monkeypatch.setattr(DigitReader, "model", model)
    return DigitReader()


def test_two_trainings_say_the_same(model, key):
    """The second copy is a key to the first: training is deterministic."""
    assert (key.images, key.truths, key.answers) == (model.images, model.truths, model.read(model.images))


def test_sheets_agree_with_the_key(key, reader):
    """What the key computes at once is what calls answer, and no two sheets are the same."""
    sheets = [key.sheet(Random(seed)) for seed in range(3)]
    assert all(reader.read(sheet.images) == sheet.expected for sheet in sheets)
    assert sheets[0].images != sheets[1].images


def test_a_sheet_is_as_large_as_the_machine_is_fast(key):
    """Within bounds, and what it takes was measured."""
    assert LEAST <= key.sheet_images <= MOST
    assert len(key.sheet(Random(1)).images) == key.sheet_images
    assert key.sheet_s > 0


def test_the_model_reads_what_it_has_not_seen(model):
    """It is a real model of real images: nine in ten and more are right."""
    right = sum(said == truth for said, truth in zip(model.read(model.images), model.truths, strict=True))
    assert right / len(model.truths) > 0.9


def test_workers_share_the_preloaded_model(model, reader):
    """Nothing is trained again where `preload` ran."""
    assert reader._model is model
    assert reader.cold_start() == model.cold_start


def test_a_session_keeps_its_running_score(key, reader):
    """Sheets and right digits grow in the session, which is named in the answer."""
    session, sheet = SimpleNamespace(id="player-1", state={}), key.sheet(Random(1))
    first = reader.play(sheet.images, sheet.expected, session=session)
    second = reader.play(sheet.images, [digit + 1 for digit in sheet.expected], session=session)
    right = key.sheet_images
    assert first == {"digits": sheet.expected, "sheets": 1, "right": right, "session_id": "player-1"}
    assert (second["sheets"], second["right"]) == (2, right)
