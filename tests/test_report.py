"""The report: the content of the page, and its findings in words."""

import base64
import html.parser
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from kgan import images, report
from kgan.data import ImageDataset
from kgan.metrics import (
    MEASURES,
    Evaluation,
    Figure,
    LikelihoodEvaluation,
    LikelihoodFloor,
    ReconstructionEvaluation,
    ReconstructionFloor,
    TranslationEvaluation,
    TranslationFigure,
    TranslationSigns,
    translated_classes,
)
from kgan.report import LatentSpace, charts
from kgan.report.latent_space import scatter_plot

pytestmark = pytest.mark.backend_free

VOID = {"meta", "link", "img"}
CELLS = {"th", "td", "li", "h1", "dd"}


class Page(html.parser.HTMLParser):
    """A page taken apart; complains where tags do not balance."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags = []
        self.cells = []
        self._open = []
        self._in_cell = False
        self.feed(self.source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag in CELLS:
            self._in_cell = True
            self.cells.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag in CELLS:
            self._in_cell = False

    def handle_data(self, data):
        if self._in_cell:
            self.cells[-1] = " ".join(f"{self.cells[-1]} {data}".split())

    def attributes(self, tag, name):
        return [attributes[name] for found, attributes in self.tags if found == tag]

    def sections(self):
        return self.attributes("section", "aria-labelledby")

    def pictures(self):
        """By title, what the browser shows."""
        shown = {}
        for tag, attributes in self.tags:
            if tag == "img":
                kind, _, data = attributes["src"].partition(";base64,")
                assert kind == "data:image/png"
                with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
                    array = np.asarray(picture)
                size = int(attributes["height"]), int(attributes["width"])
                assert array.shape[:2] == size
                title = attributes["alt"].partition(".")[0]
                shown[title] = array if array.ndim == 3 else array[..., np.newaxis]
        return shown


def pictures(count, seed=0, size=8, channels=1):
    shape = count, size, size, channels
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


def beside(value, floor, count=10_000, floor_count=None):
    return Figure(value, count, floor=floor, floor_count=floor_count or count)


def evaluated(figures=(), **more):
    more = {"features": "pixels", "seed": 0, "samples": pictures(4)} | more
    return Evaluation(dict(figures), **more)


def write(directory, evaluation, **more):
    return Page(report.write_report(directory, evaluation, **{"model": "m", "dataset": "d"} | more))


@pytest.fixture
def whole():
    """An evaluation that has everything, and what else a report takes."""
    shares = np.array([0.5, 0.3, 0.2])
    evaluation = evaluated(
        {
            "fcd": Figure(1234.567, 10_000, None, (1200.0, 1300.125), 0.5, 5000),
            "kid": Figure(0.25, 10_000, 0.125, None, -0.0625, 10_000),
            "precision": beside(0.4321, 0.8765),
            "density": beside(1.5, 1.0),
            "modes": beside(3, 3),
            "support": beside(math.inf, 9_999_000.0),
            "authenticity": beside(0.65, 0.646, 1000),
        },
        features="mnist_classifier",
        seed=7,
        samples=pictures(130),
        sample_classes=np.arange(130) % 2,
        neighbours=pictures(24, seed=1),
        sample_shares=shares,
        real_shares=shares[::-1],
    )
    history = [
        {"epoch": 1.0, "generator_loss": 1.0, "discriminator_loss": 2.0, "val_fcd": math.nan},
        {"epoch": 2.0, "generator_loss": 1.5, "discriminator_loss": 1.0, "val_fcd": 40.0},
    ]
    return evaluation, {"history": history, "interpolation": pictures(6).reshape(2, 3, 8, 8, 1)}


def test_says_what_was_evaluated(tmp_path, whole):
    evaluation, more = whole
    path = report.write_report(
        tmp_path / "new", evaluation, model="gan.keras", dataset="mnist", **more
    )
    assert path == tmp_path / "new" / "report.html"
    assert list(path.parent.iterdir()) == [path]
    page = Page(path)
    assert page.sections() == ["verdict", "samples", "metrics", "classes", "training"]
    for fact in ("gan.keras", "mnist", "10,000", "mnist_classifier", "7"):
        assert fact in page.cells


def test_metrics_have_their_floors(tmp_path, whole):
    page = write(tmp_path, whole[0])
    rows = page.cells[page.cells.index("As bars") + 1 :]
    rows = [rows[first : first + 4] for first in range(0, 4 * len(whole[0].figures), 4)]
    assert [row[1:3] for row in rows] == [
        ["1,234.57 N 10,000 95%: 1,200.00 to 1,300.12", "0.50 N 5,000"],
        ["0.250 N 10,000 ± 0.125", "-0.062 N 10,000"],
        ["0.432 N 10,000", "0.876 N 10,000"],
        ["1.500 N 10,000", "1.000 N 10,000"],
        ["3 N 10,000", "3 N 10,000"],
        ["∞ N 10,000", "9,999,000 N 10,000"],
        ["0.650 N 1,000", "0.646 N 1,000"],
    ]
    for (title, *_), name, arrow in zip(rows, whole[0].figures, "↓↓↑↑↑↑→", strict=True):
        measure = MEASURES[name]
        assert title.casefold().startswith(f"{whole[0].title(name)} {arrow}".casefold())
        assert title.endswith(measure.explanation)


def test_bars_begin_at_0_and_end_at_1_or_the_greater(tmp_path, whole):
    page = write(tmp_path, replace(whole[0], sample_shares=None))
    bars = [a["style"] for tag, a in page.tags if tag == "div" and a.get("class") == "bar"]
    assert bars == [
        "--value: 100.0%; --floor: 0.04%",
        "--value: 100.0%; --floor: 0.0%",  # below 0, as chance makes it
        "--value: 43.21%; --floor: 87.65%",
        "--value: 100.0%; --floor: 66.67%",
        "--value: 100.0%; --floor: 100.0%",
        # None where one of them is infinite.
        "--value: 65.0%; --floor: 64.6%",
    ]


def test_every_measure_is_explained_in_a_sentence():
    for name, measure in MEASURES.items():
        assert measure.explanation.endswith("."), name
        assert 20 < len(measure.explanation) < 120, name


def test_pictures_are_the_samples(tmp_path, whole):
    evaluation, more = whole
    shown = write(tmp_path, evaluation, **more).pictures()
    samples = evaluation.samples
    assert list(shown) == [
        "Uncurated samples",
        "By class",
        "Nearest training images",
        "Between samples",
    ]
    np.testing.assert_array_equal(shown["Uncurated samples"], images.grid(samples[:100], gap=1))
    flat = more["interpolation"].reshape(6, 8, 8, 1)
    np.testing.assert_array_equal(shown["Between samples"], images.grid(flat, columns=3, gap=1))
    pairs = shown["Nearest training images"]
    np.testing.assert_array_equal(pairs[:8, 19:27], samples[1])
    np.testing.assert_array_equal(pairs[:8, 27:35], evaluation.neighbours[1])
    np.testing.assert_array_equal(pairs[-8:, -8:], evaluation.neighbours[23])
    by_class = shown["By class"]
    assert by_class.shape == (3 * 9 - 1, 10 * 9 - 1, 1)
    np.testing.assert_array_equal(by_class[:8, 9:17], samples[2])
    np.testing.assert_array_equal(by_class[9:17, 9:17], samples[3])
    assert (by_class[18:] == 127).all()  # of class 2 there are none


@pytest.mark.parametrize("channels", [1, 3])
def test_classes_that_were_asked_for_come_first(tmp_path, channels):
    evaluation = evaluated(
        samples=pictures(4, size=64, channels=channels),
        sample_classes=np.zeros(4, int),
        sample_labels=np.array([1, 0, 1, 1]),
    )
    page = write(tmp_path, evaluation)
    by_class = page.pictures()["By class"]
    assert by_class.shape == (129, 194, channels)
    np.testing.assert_array_equal(by_class[:64, :64], evaluation.samples[1])
    np.testing.assert_array_equal(by_class[65:, :64], evaluation.samples[0])
    assert "requested" in page.attributes("img", "alt")[1]


def test_ten_classes_are_shown_of_many(tmp_path):
    evaluation = evaluated(samples=pictures(100), sample_labels=np.arange(100) // 2)
    page = write(tmp_path, evaluation)
    assert page.pictures()["By class"].shape == (89, 17, 1)
    assert "The first 10 of 50 classes." in page.attributes("img", "alt")[1]
    # Of a thousand none are, nor where the samples are all of others.
    for classes in (np.arange(100) * 10, np.full(100, 50)):
        page = write(tmp_path, replace(evaluation, sample_labels=classes))
        assert list(page.pictures()) == ["Uncurated samples"]


def test_shares_of_the_classes(tmp_path, whole):
    page = write(tmp_path, whole[0])
    assert [cell for cell in page.cells if cell.startswith("Class ")] == [
        "Class 0 50.0%, real 20.0%",
        "Class 1 30.0%, real 30.0%",
        "Class 2 20.0%, real 50.0%",
    ]
    styles = [attributes.get("style") for _, attributes in page.tags]
    assert "--value: 40.0%; --floor: 100.0%" in styles


def test_classes_have_the_names_of_the_data_set(tmp_path, whole):
    named = replace(whole[0], class_names=("cat", "<dog>"))
    page = write(tmp_path, named)
    assert [cell for cell in page.cells if cell.startswith("Class ")] == [
        "Class cat 50.0%, real 20.0%",
        "Class <dog> 30.0%, real 30.0%",
        "Class 2 20.0%, real 50.0%",  # the classifier knows a class more
    ]
    rows = "".join(f"<li>{name}</li>" for name in ("cat", "&lt;dog&gt;", "2"))
    assert rows in page.source
    assert json.loads(json.dumps(named.to_dict()))["class_names"] == ["cat", "<dog>"]


def test_shares_of_a_thousand_modes_are_a_curve(tmp_path):
    shares = np.arange(1000) / 499_500
    evaluation = evaluated(sample_shares=shares[::-1], real_shares=np.full(1000, 0.001))
    page = write(tmp_path, evaluation)
    assert page.sections() == ["samples", "classes"]
    (summary,) = [a["aria-label"] for tag, a in page.tags if tag == "svg" and "role" in a]
    assert "samples from 0.2 to 0, real images from 0.1 to 0.1" in summary


def test_what_is_missing_is_left_out(tmp_path):
    page = write(tmp_path, evaluated())
    assert page.sections() == ["samples"]
    assert list(page.pictures()) == ["Uncurated samples"]
    page = write(tmp_path, evaluated({"fcd": Figure(2.0, 20)}), history=[])
    assert page.sections() == ["samples", "metrics"]  # nothing is said without a floor
    assert "2.00 N 20" in page.cells
    page = write(tmp_path, evaluated(), history=[{"epoch": 1.0, "generator_loss": math.nan}])
    assert page.sections() == ["samples"]


def test_strings_from_outside_are_text(tmp_path):
    strange = "<script>alert('&amp;')</script>"
    column = '<b x="1">loss'
    page = write(
        tmp_path,
        evaluated(features=strange),
        model=strange,
        dataset='"><img src=x>',
        history=[{"epoch": 1.0, column: 2.0}],
    )
    assert "script" not in {tag for tag, _ in page.tags}
    assert ("b", {"x": "1"}) not in page.tags
    assert len(page.pictures()) == 1
    assert page.cells.count(strange) == 2
    assert '"><img src=x>' in page.cells
    labels = [a["aria-label"] for tag, a in page.tags if tag == "svg" and "role" in a]
    assert labels == ['<b x="1">loss: <b x="1">loss from 2 to 2']


def test_needs_no_other_file(tmp_path, whole):
    evaluation, more = whole
    page = write(tmp_path, evaluation, **more)
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in {"src", "href", "xlink:href", "srcset", "action"}
    ]
    assert len(addresses) == 5  # four pictures, and no icon
    assert all(address.startswith("data:") for address in addresses)
    assert all(
        text not in page.source for text in ("http:", "https:", "url(", "@import", "<script")
    )
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv")]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert all(text for text in page.attributes("img", "alt"))


def test_a_page_of_mnist_is_small(tmp_path, whole):
    # Noise is what a PNG can do least about.
    evaluation = replace(
        whole[0],
        samples=pictures(1000, size=28),
        sample_classes=np.arange(1000) % 10,
        sample_shares=None,
        neighbours=pictures(24, size=28),
    )
    ways = pictures(80, size=28).reshape(8, 10, 28, 28, 1)
    path = report.write_report(tmp_path, evaluation, model="m", dataset="d", interpolation=ways)
    assert 200_000 < path.stat().st_size < 1_000_000


def test_refuses_an_interpolation_without_rows(tmp_path):
    with pytest.raises(ValueError, match=r"rows, steps.*Received: shape \(6, 8, 8, 1\)"):
        write(tmp_path, evaluated(), interpolation=pictures(6))
    assert list(tmp_path.iterdir()) == []


# ---- the verdict ---------------------------------------------------------------------------------

NAMES = ("fcd", "precision", "recall", "coverage", "support", "authenticity")
FLOORS = (0.50, 0.881, 0.881, 0.967, 9_999_000.0, 0.646)


@pytest.mark.parametrize(
    ("values", "tones"),
    [
        # Generators with known faults, from docs/explanation/metrics.md: f fair, b bad, g good,
        # - nothing.
        ((1.08, 0.874, 0.846, 0.950, 158_714, 0.653), "ggg--g"),  # held-out real images
        ((823.32, 0.867, 0.000, 0.099, 1122, 0.697), "fgbbbg"),  # one digit
        ((172.72, 0.877, 0.319, 0.487, 9904, 0.665), "fgbfbg"),  # half the digits
        ((72.65, 0.875, 0.653, 0.766, 21_662, 0.647), "fgff-g"),  # two digits lost
        ((25.74, 0.910, 0.180, 0.602, 94_688, 0.656), "fgbf-g"),  # blurred
        ((123.07, 0.343, 0.075, 0.114, math.inf, 0.975), "fbbb-g"),  # noisy
        ((28.10, 0.916, 0.001, 0.049, 90, 0.000), "fgbbbb"),  # copies of 100 training images
    ],
)
def test_verdict_on_known_faults(values, tones):
    for name, value, floor, tone in zip(NAMES, values, FLOORS, tones, strict=True):
        count = 1000 if name == "authenticity" else 10_000
        found = report.verdict(evaluated({name: beside(value, floor, count)}))
        expected = {"g": ["good"], "f": ["fair"], "b": ["bad"], "-": []}[tone]
        assert [finding.tone for finding in found] == expected, name


def test_verdict_names_the_figures_and_begins_with_the_worst():
    found = report.verdict(
        evaluated(
            {
                "fcd": beside(0.6, 0.5),
                "precision": beside(0.7, 0.88),
                "recall": beside(0.2, 0.88),
                "label_accuracy": beside(0.5, 0.998),
                "authenticity": beside(0.5, 0.646, 1000),
            }
        )
    )
    assert [(finding.tone, finding.text) for finding in found] == [
        (
            "bad",
            "Much of the variety of real images is missing: recall 0.200, real images 0.880.",
        ),
        (
            "bad",
            "Many samples do not show the requested class: accuracy 0.5000, real images 0.9980.",
        ),
        ("fair", "Some samples are unlike any real image: precision 0.700, real images 0.880."),
        (
            "fair",
            "Samples are closer to training images than other real images are: authenticity 0.500, "
            "real images 0.646.",
        ),
        (
            "good",
            "Features of samples are distributed like those of real images: Fréchet "
            "distance 0.60, real images 0.50.",
        ),
    ]


def test_verdict_stands_in_the_page(tmp_path):
    page = write(tmp_path, evaluated({"recall": beside(0.2, 0.88)}))
    sentence = "Much of the variety of real images is missing: recall 0.200, real images 0.880."
    assert f"! Bad: {sentence}" in page.cells


def test_verdict_does_not_speak_of_chance():
    # A tenth below the floor, and more: sure of 10,000 samples, chance of 100.
    assert report.verdict(evaluated({"recall": beside(0.7, 0.8)}))[0].tone == "fair"
    assert report.verdict(evaluated({"recall": beside(0.7, 0.8, 100)}))[0].tone == "good"
    # The distance of fewer images is larger by chance: it is no floor to be near to.
    near = {"fcd": beside(0.8, 0.5, 10_000, 5000)}
    assert report.verdict(evaluated(near)) == []
    far = {"fcd": beside(8.0, 0.5, 10_000, 5000)}
    assert [finding.tone for finding in report.verdict(evaluated(far))] == ["fair"]


def verdict_on_shares(fake, real, count=10_000, names=None):
    figures = {"modes": Figure(len(fake), count)}
    shares = {"sample_shares": np.array(fake), "real_shares": np.array(real)}
    evaluation = evaluated(figures, class_names=names, **shares)
    return [finding.text for finding in report.verdict(evaluation)]


def test_verdict_on_classes():
    even = [0.2] * 5
    assert verdict_on_shares([0.21, 0.19, 0.2, 0.2, 0.2], even) == [
        "All 5 classes occur, about as often as among real images."
    ]
    assert verdict_on_shares([0.1, 0.15, 0.25, 0.25, 0.25], even) == [
        "Classes 0 and 1 are under-produced: at worst 0.50 times their share among real images."
    ]
    assert verdict_on_shares([0.0, 0.01, 0.5, 0.24, 0.25], even) == [
        "Classes 0 and 1 are missing or nearly missing.",
        "Class 2 is over-produced: 2.50 times its share among real images.",
    ]
    names = ("cat", "dog", "fox", "hen", "owl")
    assert verdict_on_shares([0.0, 0.01, 0.5, 0.24, 0.25], even, names=names) == [
        "Classes cat and dog are missing or nearly missing.",
        "Class fox is over-produced: 2.50 times its share among real images.",
    ]
    # The same shares among few samples may be chance.
    assert verdict_on_shares([0.1, 0.15, 0.25, 0.25, 0.25], even, count=100) == []
    assert verdict_on_shares([0.0, 0.25, 0.25, 0.25, 0.25], even, count=20) == []
    # A class that real images do not have need not be there; if it is, not all is well.
    assert verdict_on_shares([0.45, 0.45, 0.1], [0.5, 0.5, 0.0]) == []
    assert verdict_on_shares([0.5, 0.5, 0.0], [0.5, 0.5, 0.0]) == [
        "All 2 classes occur, about as often as among real images."
    ]
    many = [0.0] * 12 + [0.25] * 4
    assert verdict_on_shares(many, [1 / 16] * 16)[0] == (
        "Classes 0, 1, 2, 3, 4, 5, 6, 7 and 4 others are missing or nearly missing."
    )


@pytest.mark.parametrize(
    ("modes", "floor_count", "said"),
    [
        (1000, 10_000, "The modes are there"),
        (950, 10_000, "Some modes are missing"),
        (412, 10_000, "Many modes are missing"),
        (412, 5000, None),  # fewer images show fewer modes
    ],
)
def test_verdict_on_modes(modes, floor_count, said):
    shares = np.full(1000, 0.001)
    figures = {"modes": beside(modes, 1000, 10_000, floor_count)}
    found = report.verdict(evaluated(figures, sample_shares=shares, real_shares=shares))
    rest = f"samples show {modes:,} of 1,000, and as many real images 1,000."
    assert [finding.text for finding in found] == ([f"{said}: {rest}"] if said else [])


# ---- charts --------------------------------------------------------------------------------------


def curves(**points):
    return [charts.Curve(name, each) for name, each in points.items()]


def test_line_chart_places_points_on_its_scale():
    nan = math.nan
    chart = charts.line_chart("t", curves(a=[(1, 0.0), (2, nan), (3, 10.0)], b=[(2, 5.0)]))
    assert [(line.name, line.first, line.last) for line in chart.lines] == [
        ("a", "0", "10"),
        ("b", "5", "5"),
    ]
    left, middle, right, top, bottom = 42, 177, 312, 10, 166
    assert chart.lines[0].path == f"{left},{bottom} {right},{top}"
    assert chart.lines[1].path == f"{middle},{(top + bottom) // 2}"
    assert chart.y_ticks == [(166, "0"), (127, "2.5"), (88, "5"), (49, "7.5"), (10, "10")]
    assert chart.x_ticks == [(left, "1"), (middle, "2"), (right, "3")]
    assert [step.label for step in chart.steps] == [
        "epoch 1\na: 0",
        "epoch 2\nb: 5",
        "epoch 3\na: 10",
    ]
    assert [(step.left, step.width) for step in chart.steps] == [
        (42, 67.5),
        (109.5, 135),
        (244.5, 67.5),
    ]
    assert chart.steps[1].dots == [(middle, 88, 1)]
    assert chart.note == ""


def test_line_chart_of_wide_ranges_is_logarithmic():
    chart = charts.line_chart("t", curves(a=[(1, 1000.0), (2, 10.0), (3, 1.0)]))
    assert chart.note == "logarithmic"
    assert chart.lines[0].path == "42,10 177,114 312,166"
    assert [label for _, label in chart.y_ticks] == ["1", "10", "100", "1,000"]
    assert charts.line_chart("t", curves(a=[(1, 1000.0), (2, 0.0)])).note == ""


def test_line_chart_of_one_point_puts_it_in_the_middle():
    chart = charts.line_chart("t", curves(a=[(7, 0.5)]))
    assert chart.lines[0].path == "177,88"
    assert chart.x_ticks == [(177, "7")]
    assert [(step.left, step.width) for step in chart.steps] == [(42, 270)]
    assert (88, "0.5") in chart.y_ticks
    assert charts.line_chart("t", curves(a=[(1, math.nan)], b=[(1, math.inf)])) is None


def test_dots_and_steps_are_left_out_where_they_are_many():
    def chart(count):
        return charts.line_chart("t", curves(a=[(x, x) for x in range(count)]))

    assert [chart(n).dotted for n in (40, 41)] == [True, False]
    assert [len(chart(n).steps) for n in (400, 401)] == [400, 0]


def test_history_charts_put_together_what_belongs_together():
    names = (
        "discriminator_loss", "generator_loss", "real_score", "fake_score",
        "discriminator_accuracy", "discriminator_gradient_norm", "generator_gradient_norm",
        "val_generator_loss", "learning_rate", "val_fcd", "val_inception_score",
        "val_label_accuracy",
    )  # fmt: skip
    training, figures = charts.history_charts([{"epoch": 1.0} | dict.fromkeys(names, 1.0)])
    assert {chart.title: [line.name for line in chart.lines] for chart in training} == {
        "Losses": ["generator", "discriminator", "held-out generator"],
        "Mean scores": ["fakes", "real images"],
        "Discriminator accuracy": ["accuracy"],
        "Gradient norms": ["generator", "discriminator"],
        "Learning rate": ["learning rate"],
    }
    assert [(line.kind, line.held_out) for line in training[0].lines] == [
        (0, False),
        (1, False),
        (0, True),
    ]
    assert [chart.title for chart in figures] == [
        "Fréchet distance",
        "Inception score",
        "Label accuracy",
    ]
    # `val_` means held-out images where a name begins with it, and nothing within one.
    own = {"epoch": 1.0, "interval_penalty": 1.0, "val_own_score": 1.0}
    penalty, score = charts.history_charts([own])[0]
    assert (penalty.title, penalty.named) == ("Interval penalty", False)
    assert (score.title, score.named) == ("Own score", True)
    assert [line.name for line in score.lines] == ["held-out own score"]
    # A name still says which of two it is where the other has no value.
    diverged = [{"epoch": 1.0, "generator_loss": math.nan, "discriminator_loss": 0.5}]
    (losses,), _ = charts.history_charts(diverged)
    assert losses.named
    assert [(line.name, line.kind) for line in losses.lines] == [("discriminator", 1)]


# ---- likelihoods, reconstructions, latents -------------------------------------------------------


def measured(nats=90.0, error=0.5, **options):
    """A likelihood with floors."""
    floors = (
        LikelihoodFloor("entropy of the drawing", 45.5, is_limit=True),
        LikelihoodFloor("table of 18 causal neighbours", 100.8),
        LikelihoodFloor("independent pixels", 205.8),
    )
    options = {
        "count": 1000, "image_shape": (8, 8, 1), "unpadded_shape": (8, 8, 1), "support": "binary",
        "binarize": "dynamic", "is_exact": False, "samples": 50, "seed": 0, "floors": floors,
        "fitted_on": "60,000 training images",
    } | options  # fmt: skip
    return LikelihoodEvaluation(nats=nats, standard_error=error, **options)


def reconstructed(count=24):
    return ReconstructionEvaluation(
        error=0.02,
        standard_error=0.001,
        count=1000,
        binarize=None,
        floors=(
            ReconstructionFloor("32 principal components", 0.0152, 1000),
            ReconstructionFloor("nearest training image", 0.0246, 500),
        ),
        fitted_count=60_000,
        image_errors=np.zeros(1000),
        images=pictures(count),
        reconstructions=pictures(count, seed=1),
    )


def test_a_likelihood_is_among_its_floors(tmp_path):
    page = write(tmp_path, None, likelihood=measured())
    assert page.sections() == ["verdict", "likelihood"]
    cells = page.cells[page.cells.index("Negative log-likelihood") :]
    assert cells[:4] == ["Negative log-likelihood", "Nats", "Bits/dim", "Note"]
    assert [cells[first : first + 4] for first in range(4, 20, 4)] == [
        ["Entropy of the drawing", "45.50", "1.026", "no model can be lower"],
        ["Model", "90.00", "2.029", "± 0.50 nats"],
        ["Table of 18 causal neighbours", "100.80", "2.272", ""],
        ["Independent pixels", "205.80", "4.639", ""],
    ]
    for sentence in ("dynamic binarisation", "D = 8 x 8 x 1 = 64.", "50 importance samples"):
        assert sentence in page.source
    assert "The tables are fitted on 60,000 training images." in page.source
    (row,) = [a for tag, a in page.tags if tag == "tr" and a.get("class") == "model"]
    assert row


def test_a_density_has_no_bits(tmp_path):
    density = measured(nats=-30.0, support="density", binarize=None, floors=(), fitted_on="")
    page = write(tmp_path, None, likelihood=density)
    assert "Bits/dim" not in page.cells
    assert "-30.00" in page.cells
    assert "no upper bound" in page.source


@pytest.mark.parametrize(
    ("nats", "error", "tone", "text"),
    [
        (90.0, 0.5, "good", "better than that of a table: 90.00 nats, table of 18 causal neigh"),
        (110.0, 0.5, "bad", "worse than that of a table"),
        (100.0, 0.5, None, ""),  # chance
        (40.0, 0.5, "bad", "impossible: 40.00 nats are below the entropy of the drawing, 45.50"),
    ],
)
def test_verdict_on_likelihoods(nats, error, tone, text):
    found = report.verdict(None, measured(nats, error))
    assert [finding.tone for finding in found] == ([] if tone is None else [tone])
    assert all(text in finding.text for finding in found)


def test_a_likelihood_without_floors_has_no_verdict():
    assert report.verdict(None, measured(floors=())) == []


def test_reconstructions_are_pictures_and_a_table(tmp_path):
    result = reconstructed()
    page = write(tmp_path, None, reconstruction=result)
    assert page.sections() == ["samples", "reconstruction"]
    expected = images.paired_grid(result.images, result.reconstructions, columns=8)
    np.testing.assert_array_equal(page.pictures()["Reconstructions"], expected)
    cells = page.cells[page.cells.index("Reconstruction error") :]
    assert [cells[first : first + 4] for first in range(4, 16, 4)] == [
        ["32 principal components", "0.01520", "1,000", ""],
        ["Model", "0.02000", "1,000", "± 0.00100"],
        ["Nearest training image", "0.02460", "500", ""],
    ]


def translated(truths=True, cycles=False, share=1.0, signs=None, **figures):
    """Translations of images of 3 classes, a share of which is kept; the others become the next."""
    labels = np.arange(300) % 3
    seen = np.where(np.arange(300) < 300 * share, labels, (labels + 1) % 3)
    classes = translated_classes(labels, seen, 3)
    known = {
        "error": TranslationFigure(0.05, 300, untranslated=0.2, mean_image=0.15),
        "fcd": TranslationFigure(
            1.0, 300, None, None, 0.9, 300, untranslated=30.0, mean_image=50.0
        ),
        "class_kept": TranslationFigure(classes.kept, 300, None, None, 0.99, 300, 0.98, 0.4),
    }
    signs = {"change": 0.1, "true_change": 0.12, "spread": 0.9, "inverted": 5.0} | (signs or {})
    return TranslationEvaluation(
        figures=known | figures,
        signs=TranslationSigns(**signs, inverted_measure="error"),
        classes=classes,
        features="mnist_classifier",
        seed=0,
        inputs=pictures(24),
        translations=pictures(24, seed=1),
        truths=pictures(24, seed=2) if truths else None,
        cycles=pictures(24, seed=3) if cycles else None,
    )


def test_translations_are_pictures_and_a_table(tmp_path):
    result = translated(share=0.5)
    page = write(tmp_path, None, translation=result)
    assert page.sections() == ["verdict", "samples", "translation"]
    expected = images.paired_grid(result.inputs, result.translations, result.truths, columns=8)
    np.testing.assert_array_equal(page.pictures()["Translations"], expected)
    cells = page.cells[page.cells.index("Metric") :]
    assert [cells[first : first + 7] for first in range(0, 28, 7)] == [
        ["Metric", "Translations", "Untranslated", "Mean image", "Real", "N", "Note"],
        ["Error (L1)", "0.0500", "0.2000", "0.1500", "", "300", ""],
        ["Fréchet classifier distance", "1.00", "30.00", "50.00", "0.90", "300", ""],
        ["Class kept", "0.5000", "0.9800", "0.4000", "0.9900", "300", "0 becomes 1: 50.0%"],
    ]
    for remark in result.remarks():
        assert remark in page.source
    assert "Many translations lose their class" in page.source


def test_translations_without_truths_are_shown_with_their_cycles(tmp_path):
    result = translated(truths=False, cycles=True)
    page = write(tmp_path, None, translation=result)
    expected = images.paired_grid(result.inputs, result.translations, result.cycles, columns=8)
    np.testing.assert_array_equal(page.pictures()["Translations"], expected)
    # Label maps cannot be shown.
    result = replace(result, inputs=pictures(24, channels=5), cycles=None)
    page = write(tmp_path, None, translation=result)
    expected = images.paired_grid(result.translations, columns=8)
    np.testing.assert_array_equal(page.pictures()["Translations"], expected)


def said(**options):
    return [finding.text for finding in report.verdict(translation=translated(**options))]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"share": 0.1}, "Classes are permuted: 10.0% of the translations keep their class, and"),
        ({"signs": {"change": 0.011}}, "Translations are nearly the inputs: "),
        ({"signs": {"spread": 0.05}}, "All inputs get nearly the same translation: "),
        (
            {"signs": {"inverted": 0.4}},
            "Colours are inverted: error 0.0500, with inverted colours 0",
        ),
    ],
)
def test_verdict_on_failures_of_translators(options, text):
    first, *others = said(**options)
    assert first.startswith(text)
    assert not any(text[:25] in other for other in others)


@pytest.mark.parametrize(
    "options",
    [
        {"share": 0.5},  # half of the images of each class: no renaming explains more
        {"signs": {"change": 0.013}},
        {"signs": {"spread": 0.15}},
        {"signs": {"inverted": 0.6}},
    ],
)
def test_verdict_does_not_name_failures_of_other_translators(options):
    words = ("permuted", "nearly the inputs", "nearly the same", "inverted")
    assert not any(word in text for text in said(**options) for word in words)


def test_verdict_on_translations_names_scores():
    assert said() == [
        "Translations keep their class: class kept 1.0000, real images 0.9900.",
        "Features of translations are distributed like those of real images: Fréchet distance "
        "1.00, real images 0.90.",
        "Translations are closer to the true ones than images without a translation: error "
        "0.0500, untranslated 0.2000, mean image 0.1500.",
    ]
    far = TranslationFigure(31.0, 300, None, None, 0.9, 300, untranslated=30.0)
    error = TranslationFigure(0.3, 300, untranslated=0.2, mean_image=0.15)
    assert said(fcd=far, error=error)[:2] == [
        "Translations are no closer to the target domain than their inputs: Fréchet distance "
        "31.00, untranslated 30.00.",
        "Translations are no closer to the true ones than images without a translation: error "
        "0.3000, untranslated 0.2000, mean image 0.1500.",
    ]


class Flat:
    """An encoder to a plane: the means of the halves of an image; its decoder paints them."""

    latent_dim = 2
    num_classes = None

    def encode(self, images, labels=None):
        return np.stack([images[:, :4].mean((1, 2, 3)), images[:, 4:].mean((1, 2, 3))], axis=1)

    def reconstruct(self, images, labels=None):
        return self.decode(self.encode(images))

    def draw_latents(self, n, seed=None):
        return np.random.default_rng(seed).standard_normal((n, 2))

    def decode(self, latents, labels=None):
        halves = np.repeat(np.clip(latents, -1, 1), 4, axis=1)
        return np.repeat(halves[:, :, None], 8, axis=2)[..., None]


def held_out(count=60, classes=3, names=None):
    labels = None if classes is None else np.arange(count) % classes
    return ImageDataset(pictures(count), labels, batch_size=4, class_names=names)


def test_two_latents_are_shown_as_they_are_with_all_that_they_decode_to(tmp_path):
    dataset = held_out()
    space = report.latent_space(Flat(), dataset, seed=3)
    shown, labels = dataset.draw(60, seed=3)
    np.testing.assert_allclose(space.points, Flat().encode(shown), rtol=1e-6)
    np.testing.assert_array_equal(space.labels, labels)
    assert (space.dimensions, space.explained) == (2, 1.0)
    assert space.grid.shape == (15, 15, 8, 8, 1)
    # The first latent grows to the right, the second upwards; the middle one is 0.
    assert space.grid[7, 7, 0, 0, 0] in {127, 128}
    assert (np.diff(space.grid[:, :, 0, 0, 0].astype(int), axis=1) >= 0).all()
    assert (np.diff(space.grid[:, :, -1, 0, 0].astype(int), axis=0) <= 0).all()
    page = write(tmp_path, None, latents=space)
    assert page.sections() == ["samples", "latents"]
    picture = page.pictures()["All of the latent space"]
    np.testing.assert_array_equal(picture[:8, 8:16], space.grid[0, 1])
    kinds = [a["class"] for tag, a in page.tags if tag == "path" and "class" in a]
    assert kinds == ["c0", "c1", "c2"]
    dots = [a["d"].count("M") for tag, a in page.tags if tag == "path" and "class" in a]
    assert dots == [20, 20, 20]
    assert "principal components" not in page.source
    named = report.latent_space(Flat(), held_out(names=["cat", "dog", "fox"]), seed=3)
    assert named.class_names == ("cat", "dog", "fox")


def test_more_latents_are_projected_on_two_components(tmp_path):
    class Deep(Flat):
        latent_dim = 5

        def encode(self, images, labels=None):
            wide = np.random.default_rng(0).standard_normal((len(images), 5)) * [9, 3, 0, 0, 0]
            return wide + 7

    space = report.latent_space(Deep(), held_out(classes=None))
    latents = Deep().encode(np.zeros(60)) - 7
    latents = (latents - latents.mean(axis=0))[:, :2]
    assert space.explained == pytest.approx(1.0)
    # Distances stay the same.
    np.testing.assert_allclose(
        np.linalg.norm(space.points, axis=1), np.linalg.norm(latents, axis=1), rtol=1e-4
    )
    assert (space.labels, space.grid, space.dimensions) == (None, None, 5)
    page = write(tmp_path, None, latents=space)
    assert page.sections() == ["latents"]
    assert "first two principal components of 5 latents, with 100% of" in page.source


def test_dots_stay_in_the_square_and_keep_their_proportions():
    points = np.array([[0.0, 0.0], [4.0, 1.0], [2.0, 0.5]], "float32")
    (group,) = scatter_plot(LatentSpace(points, None, 2, 1.0))
    assert group.path == "M10.0 260.0h0M410.0 160.0h0M210.0 210.0h0"
    (one,) = scatter_plot(LatentSpace(points[:1], None, 2, 1.0))
    assert one.path == "M210.0 210.0h0"
    labelled = LatentSpace(points, np.array([1, 0, 1]), 2, 1.0)
    assert [group.name for group in scatter_plot(labelled)] == ["0", "1"]
    named = scatter_plot(replace(labelled, class_names=("cat", "dog")))
    assert [(group.name, group.kind) for group in named] == [("cat", 0), ("dog", 1)]
    many = LatentSpace(points, np.array([0, 10, 3]), 2, 1.0)
    assert [group.name for group in scatter_plot(many)] == [""]


def test_a_conditional_encoder_gets_labels():
    class Told(Flat):
        num_classes = 3

        def encode(self, images, labels=None):
            return np.stack([labels, labels], axis=1)

        def decode(self, latents, labels=None):
            assert (labels == 0).all()
            return super().decode(latents)

    space = report.latent_space(Told(), held_out())
    np.testing.assert_array_equal(space.points[:, 0], space.labels)


def test_interpolations_of_models_that_have_them():
    class Paths:
        def interpolate(self, n, steps=8, *, seed=None):
            return np.full((n, steps, 2, 2, 1), seed, "float32")

    found = report.interpolation(Paths(), seed=1)
    assert found.shape == (8, 10, 2, 2, 1)
    assert (found == 255).all()
    assert report.interpolation(object()) is None


def test_paths_of_a_conditional_model_have_the_names_of_their_classes(tmp_path):
    class Paths:
        num_classes = 3

        def interpolate(self, n, steps=8, *, seed=None):
            return np.zeros((n, steps, 2, 2, 1), "float32")

    names = report.path_names(Paths())
    assert names == ["0", "1", "2", "0", "1", "2", "0", "1"]
    assert report.path_names(Paths(), ["cat", "dog", "fox"])[1:4] == ["dog", "fox", "cat"]
    page = report.write_report(
        tmp_path,
        model="m",
        dataset="d",
        interpolation=report.interpolation(Paths()),
        path_names=names,
    ).read_text()
    assert "".join(f"<li>{name}</li>" for name in names) in page
    with pytest.raises(ValueError, match="one of `path_names` for each row"):
        report.write_report(tmp_path, model="m", dataset="d", path_names=names)
    unconditional = Paths()
    unconditional.num_classes = None
    assert report.path_names(unconditional) == []
    assert report.path_names(object()) == []


def test_samples_of_two_channels_have_no_pictures(tmp_path):
    evaluation = Evaluation(
        {"fcd": Figure(3.0, 10, floor=1.0, floor_count=10)},
        "pixels",
        0,
        np.zeros((10, 8, 8, 2), "uint8"),
    )
    page = report.write_report(tmp_path, evaluation, model="m", dataset="d").read_text()
    assert "3.00" in page
    assert "data:image/png" not in page


def test_names_stay_in_their_cells_of_a_card(make_gan, tmp_path):
    names = {"class names": ["a|b", "two\nlines", "<b>"], "paper": None, "not text": "\udcff"}
    path = report.write_card(
        tmp_path / "card.md",
        model=make_gan(),
        name="mine",
        dataset="a|b",
        compared_with="a|b (test)",
        facts=names,
    )
    lines = path.read_text().splitlines()
    assert "| training data | a\\|b |" in lines
    assert "| class names | a\\|b, two lines, &lt;b> |" in lines
    assert "| not text | ? |" in lines
    assert not any("paper" in line for line in lines)
    assert "| images | 8 x 8 x 1 |" in lines


def test_the_card_of_a_translator_shows_its_scores_and_how_to_translate(make_gan, tmp_path):
    model = make_gan()
    model.translate = lambda images, to=None: images
    options = {"model": model, "name": "mine", "dataset": "shoes", "compared_with": "shoes (test)"}
    text = report.write_card(tmp_path / "card.md", [translated(share=0.5)], **options).read_text()
    assert "translations = model.translate(images)" in text
    assert "To translate images like those in shoes" in text
    cells = "class kept | 0.5000 | 0.9800 | 0.4000 | 0.9900 | 300 | 0 becomes 1: 50.0%"
    assert f"| {cells} |" in text
