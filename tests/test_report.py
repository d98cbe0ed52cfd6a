"""The report: what stands in the page, and what is said in words."""

import base64
import html.parser
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from kgan import images, report
from kgan.metrics import MEASURES, Evaluation, Figure
from kgan.report import charts

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
    assert page.sections() == ["verdict", "samples", "figures", "classes", "training"]
    for fact in ("gan.keras", "mnist", "10,000", "mnist_classifier", "7"):
        assert fact in page.cells


def test_figures_stand_beside_their_floors(tmp_path, whole):
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
        assert title.casefold().startswith(f"{measure.title} {arrow}".casefold())
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
    assert list(shown) == ["As they come", "By class", "Nearest training images", "Between samples"]
    np.testing.assert_array_equal(shown["As they come"], images.grid(samples[:100], gap=1))
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
    assert "asked for" in page.attributes("img", "alt")[1]


def test_ten_classes_are_shown_of_many(tmp_path):
    evaluation = evaluated(samples=pictures(100), sample_labels=np.arange(100) // 2)
    page = write(tmp_path, evaluation)
    assert page.pictures()["By class"].shape == (89, 17, 1)
    assert "The first 10 of 50 classes." in page.attributes("img", "alt")[1]
    # Of a thousand none are, nor where the samples are all of others.
    for classes in (np.arange(100) * 10, np.full(100, 50)):
        page = write(tmp_path, replace(evaluation, sample_labels=classes))
        assert list(page.pictures()) == ["As they come"]


def test_shares_of_the_classes(tmp_path, whole):
    page = write(tmp_path, whole[0])
    assert [cell for cell in page.cells if cell.startswith("Class ")] == [
        "Class 0 50.0%, real 20.0%",
        "Class 1 30.0%, real 30.0%",
        "Class 2 20.0%, real 50.0%",
    ]
    styles = [attributes.get("style") for _, attributes in page.tags]
    assert "--value: 40.0%; --floor: 100.0%" in styles


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
    assert list(page.pictures()) == ["As they come"]
    page = write(tmp_path, evaluated({"fcd": Figure(2.0, 20)}), history=[])
    assert page.sections() == ["samples", "figures"]  # nothing is said without a floor
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
        # Generators with known faults, from docs/evaluation.md: f fair, b bad, g good, - nothing.
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
            "Many samples are not of the class that was asked for: accuracy 0.5000, real images "
            "0.9980.",
        ),
        ("fair", "Some samples are unlike any real image: precision 0.700, real images 0.880."),
        (
            "fair",
            "Samples lie nearer to training images than other real images do: authenticity 0.500, "
            "real images 0.646.",
        ),
        (
            "good",
            "Features of samples are spread much like those of real images: Fréchet "
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


def verdict_on_shares(fake, real, count=10_000):
    figures = {"modes": Figure(len(fake), count)}
    shares = {"sample_shares": np.array(fake), "real_shares": np.array(real)}
    return [finding.text for finding in report.verdict(evaluated(figures, **shares))]


def test_verdict_on_classes():
    even = [0.2] * 5
    assert verdict_on_shares([0.21, 0.19, 0.2, 0.2, 0.2], even) == [
        "All 5 classes are there, about as often as among real images."
    ]
    assert verdict_on_shares([0.1, 0.15, 0.25, 0.25, 0.25], even) == [
        "Classes 0 and 1 are under-produced: at worst 0.50 times their share among real images."
    ]
    assert verdict_on_shares([0.0, 0.01, 0.5, 0.24, 0.25], even) == [
        "Classes 0 and 1 are missing, or nearly so.",
        "Class 2 is over-produced: 2.50 times its share among real images.",
    ]
    # The same shares among few samples may be chance.
    assert verdict_on_shares([0.1, 0.15, 0.25, 0.25, 0.25], even, count=100) == []
    assert verdict_on_shares([0.0, 0.25, 0.25, 0.25, 0.25], even, count=20) == []
    # A class that real images do not have need not be there; if it is, not all is well.
    assert verdict_on_shares([0.45, 0.45, 0.1], [0.5, 0.5, 0.0]) == []
    assert verdict_on_shares([0.5, 0.5, 0.0], [0.5, 0.5, 0.0]) == [
        "All 2 classes are there, about as often as among real images."
    ]
    many = [0.0] * 12 + [0.25] * 4
    assert verdict_on_shares(many, [1 / 16] * 16)[0] == (
        "Classes 0, 1, 2, 3, 4, 5, 6, 7 and 4 others are missing, or nearly so."
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
    rest = f"samples show {modes:,} of 1,000, as many real images 1,000."
    assert [finding.text for finding in found] == ([f"{said}: {rest}"] if said else [])


# ---- charts --------------------------------------------------------------------------------------


def test_line_chart_places_points_on_its_scale():
    nan = math.nan
    chart = charts.line_chart("t", {"a": [(1, 0.0), (2, nan), (3, 10.0)], "b": [(2, 5.0)]})
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
    chart = charts.line_chart("t", {"a": [(1, 1000.0), (2, 10.0), (3, 1.0)]})
    assert chart.note == "logarithmic"
    assert chart.lines[0].path == "42,10 177,114 312,166"
    assert [label for _, label in chart.y_ticks] == ["1", "10", "100", "1,000"]
    assert charts.line_chart("t", {"a": [(1, 1000.0), (2, 0.0)]}).note == ""


def test_line_chart_of_one_point_puts_it_in_the_middle():
    chart = charts.line_chart("t", {"a": [(7, 0.5)]})
    assert chart.lines[0].path == "177,88"
    assert chart.x_ticks == [(177, "7")]
    assert [(step.left, step.width) for step in chart.steps] == [(42, 270)]
    assert (88, "0.5") in chart.y_ticks
    assert charts.line_chart("t", {"a": [(1, math.nan)], "b": [(1, math.inf)]}) is None


def test_dots_and_steps_are_left_out_where_they_are_many():
    def chart(count):
        return charts.line_chart("t", {"a": [(x, x) for x in range(count)]})

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
    assert [chart.title for chart in charts.history_charts([own])[0]] == [
        "Interval penalty",
        "Held-out own score",
    ]
    # A name still says which of two it is where the other has no value.
    diverged = [{"epoch": 1.0, "generator_loss": math.nan, "discriminator_loss": 0.5}]
    (losses,), _ = charts.history_charts(diverged)
    assert losses.named
    assert [(line.name, line.kind) for line in losses.lines] == [("discriminator", 1)]


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
