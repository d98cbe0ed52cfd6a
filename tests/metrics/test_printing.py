"""How evaluations are shown."""

from xml.etree import ElementTree

import numpy as np
import pytest

import kgan
from kgan import metrics
from kgan.metrics._printing import Table

pytestmark = pytest.mark.backend_free


def test_text_has_aligned_columns_between_sentences():
    table = Table(
        [("", "value", "N", ""), ("distance", "1.5", "1,000", "± 0.1"), ("modes", "10", "20", "")],
        before=["First."],
        after=["Last."],
    )
    assert table.as_text().splitlines() == [
        "First.",
        "          value      N",
        "distance    1.5  1,000  ± 0.1",
        "modes        10     20",
        "Last.",
    ]


def cells(html):
    """The text of the cells, row by row, and that of the paragraphs."""
    root = ElementTree.fromstring(html)
    rows = [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
    return rows, ["".join(each.itertext()) for each in root.iter("p")]


def test_html_has_the_same_cells_and_escapes_them():
    table = Table([("", "N", ""), ("a < b & c", "1", "<i>")], before=['"quoted"'], after=["& end"])
    rows, paragraphs = cells(table.as_html())
    assert rows == [["", "N", ""], ["a < b & c", "1", "<i>"]]
    assert paragraphs == ['"quoted"', "& end"]


def evaluations():
    pictures = np.zeros((2, 4, 4, 1), "uint8")
    yield metrics.Evaluation(
        {"fcd": metrics.Figure(1.25, 40, spread=0.5, floor=0.5, floor_count=20)},
        features="pixels",
        seed=0,
        samples=pictures,
    )
    floors = (metrics.LikelihoodFloor("entropy", 3.0, is_limit=True),)
    yield metrics.LikelihoodEvaluation(
        9.0, 0.1, 50, (4, 4, 1), (4, 4, 1), "binary", "dynamic", False, 5, 0, floors
    )
    yield metrics.ReconstructionEvaluation(
        0.25, 0.01, 2, None, (metrics.ReconstructionFloor("mean image", 0.5, 2),), 60,
        np.zeros(2), pictures, pictures,
    )  # fmt: skip


@pytest.mark.parametrize("evaluation", list(evaluations()), ids=lambda each: type(each).__name__)
def test_prompt_and_notebook_show_what_print_shows(evaluation):
    assert repr(evaluation) == str(evaluation)
    rows, paragraphs = cells(evaluation._repr_html_())
    shown = str(evaluation)
    for text in [*(cell for row in rows for cell in row), *paragraphs]:
        assert text in shown
    assert len(rows) + len(paragraphs) == len(shown.splitlines())
    assert "array(" not in shown


def test_a_dataset_is_one_line():
    images = np.full((60, 8, 8), 200, "uint8")
    labels = np.arange(60) % 3
    for dataset, expected in (
        (
            kgan.data.ImageDataset(images, batch_size=16, seed=0),
            "<ImageDataset: 60 images (8, 8, 1), no labels, batch_size=16>",
        ),
        (
            kgan.data.ImageDataset(images, labels, batch_size=5, pad_to=(9, 10), binarize="static"),
            "<ImageDataset: 60 images (9, 10, 1), 3 classes, batch_size=5, binarize='static'>",
        ),
        (
            kgan.data.StackedImageDataset(images, labels, batch_size=5, num_classes=10),
            "<StackedImageDataset: 60 images (8, 8, 3), 1,000 classes, batch_size=5>",
        ),
    ):
        assert repr(dataset) == expected
        assert str(dataset) == expected
