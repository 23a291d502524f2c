from __future__ import annotations

import json
import os
import threading

import numpy as np
import pytest

from antiphon.errors import ModelError
from antiphon.models.minilm import MiniLM, load_minilm
from antiphon.models.store import Store


@pytest.fixture(scope="module")
def model():
    return load_minilm()


def test_shape_type_and_length(model):
    places = model.embed(["Are you open on Sunday?", "", "word " * 500, "日本 🙂"])
    assert places.shape == (4, 384)
    assert places.dtype == np.float32
    assert np.linalg.norm(places, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert model.embed([]).shape == (0, 384)


def test_alike_in_meaning_is_near(model):
    question, answer, other = model.embed(
        ["When do you close?", "What are your opening hours?", "The cat sat on the mat."]
    )
    assert question @ answer > 0.5
    assert question @ other < 0.2


def test_same_numbers_as_the_reference(model):
    # Source: quickstart of the Sentence Transformers documentation, with this model.
    places = model.embed(
        ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    )
    expected = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    assert (places @ places.T).tolist() == [pytest.approx(row, abs=1e-3) for row in expected]


def test_a_text_does_not_depend_on_its_neighbours(model):
    texts = [f"Sentence number {n} is about {'very ' * (n % 7)}little." for n in range(90)]
    together = model.embed(texts)
    alone = np.concatenate([model.embed([text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-5


def test_only_the_first_128_tokens_are_read(model):
    long = "bike " * 200
    one, two = model.embed([long, long + "And now something completely different."])
    assert np.abs(one - two).max() < 1e-5


def test_threads_get_the_same(model):
    expected = model.embed(["Where is my order?"])
    wrong = []

    def run():
        found = [model.embed(["Where is my order?"]) for _ in range(10)]
        wrong.extend(places for places in found if np.abs(places - expected).max() > 1e-6)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads Linux's account")
def test_the_weights_are_mapped_not_copied():
    def private_mb():
        with open("/proc/self/status") as status:
            (line,) = [line for line in status if line.startswith("RssAnon")]
        return int(line.split()[1]) / 1024

    load_minilm().embed(["warm"])
    before = private_mb()
    model = load_minilm()
    model.embed(["Where is my order?"])
    assert private_mb() - before < 30, "the file has 90 MB"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08",
        b"\xff" * 16,
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{",
        b"".join(
            [
                (60).to_bytes(8, "little"),
                b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}',
            ]
        ),
        b"".join(
            [(40).to_bytes(8, "little"), json.dumps({"a": {"dtype": "F32"}}).ljust(40).encode()]
        ),
    ],
)
def test_damaged_weights(tmp_path, content):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        MiniLM(weights, Store().path("minilm", "tokenizer.json"))


def test_damaged_tokenizer(tmp_path):
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("{")
    with pytest.raises(ModelError, match="is no tokenizer file"):
        MiniLM(Store().path("minilm", "model.safetensors"), tokenizer)


def test_missing_from_the_store(tmp_path):
    with pytest.raises(ModelError, match="antiphon models pull minilm"):
        load_minilm(Store(tmp_path))
