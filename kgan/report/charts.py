"""Curves as a template draws them: where each line, tick and dot stands."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kgan.metrics import MEASURES

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 320, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 312, 10, 166
# From here on a linear scale would show one end of the values only.
_LOGARITHMIC_FROM = 50.0
# Dots on more points than this are a smear; they are shown one by one, under the pointer.
_MOST_DOTS = 40
_MOST_STEPS = 400
_COLOURS = 4  # k0 to k3 of style.css
_HELD_OUT = "held-out "

# Logs that belong together, by what they are called there. What is the generator's comes first: it
# has the colour of samples.
_PANELS = {
    "Losses": {"generator_loss": "generator", "discriminator_loss": "discriminator"},
    "Mean scores": {"fake_score": "fakes", "real_score": "real images"},
    "Discriminator accuracy": {"discriminator_accuracy": "accuracy"},
    "Gradient norms": {
        "generator_gradient_norm": "generator",
        "discriminator_gradient_norm": "discriminator",
    },
}


@dataclass(frozen=True)
class Line:
    """One curve.

    Args:
        name: String, for people.
        first: String, its first value.
        last: String, its last value.
        kind: Integer, which of the colours.
        held_out: Whether it is of held-out images, and dashed.
        path: String, the points of an SVG polyline.
    """

    name: str
    first: str
    last: str
    kind: int
    held_out: bool
    path: str


@dataclass(frozen=True)
class Step:
    """What stands above one place of the x axis.

    Args:
        left: Float, where the pointer begins to mean it.
        width: Float, how far that reaches.
        label: String, all the values.
        dots: `(x, y, kind)` of each.
    """

    left: float
    width: float
    label: str
    dots: list[tuple[float, float, int]]


@dataclass(frozen=True)
class Chart:
    """Curves over one axis.

    Args:
        title: String.
        note: String, what is to be known of the scale.
        lines: The `Line`s.
        named: Whether their names say more than the title.
        x_ticks: `(x, label)` of each.
        y_ticks: `(y, label)` of each.
        steps: `Step`s, empty where they would be too many.
        dotted: Whether each step's dots are always to be seen.
    """

    title: str
    note: str
    lines: list[Line]
    named: bool
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    steps: list[Step]
    dotted: bool

    @property
    def summary(self) -> str:
        """What the chart shows, for those who do not see it."""
        lines = (f"{line.name} from {line.first} to {line.last}" for line in self.lines)
        return f"{self.title}: {', '.join(lines)}"


def history_charts(history: Sequence[Mapping[str, float]]) -> tuple[list[Chart], list[Chart]]:
    """Draws the logs of a training.

    Args:
        history: The logs of each epoch, with its number under `epoch`. Names may be missing from
            some, and values NaN.

    Returns:
        `(training, figures)`: charts of what the networks did, and of how good samples were.
    """
    names = list(dict.fromkeys(name for logs in history for name in logs if name != "epoch"))
    points = {
        name: [(logs["epoch"], logs[name]) for logs in history if name in logs] for name in names
    }
    panels = {
        title: called | {f"val_{name}": _HELD_OUT + word for name, word in called.items()}
        for title, called in _PANELS.items()
    }
    measured = [name for name in names if name.removeprefix("val_") in MEASURES]
    placed = {name for called in panels.values() for name in called}
    for name in names:
        if name not in placed and name not in measured:
            panels[headline(_words(name))] = {name: _words(name)}
    training = [
        line_chart(title, {word: points[name] for name, word in called.items() if name in points})
        for title, called in panels.items()
    ]
    figures = []
    for name in measured:
        title = MEASURES[name.removeprefix("val_")].title
        figures.append(line_chart(headline(title), {title: points[name]}))
    return [c for c in training if c is not None], [c for c in figures if c is not None]


def line_chart(title: str, curves: Mapping[str, Points], step: str = "epoch") -> Chart | None:
    """Draws curves over one axis.

    Args:
        title: String.
        curves: For each name its points `(x, y)`, in the order of x. Those that are not finite are
            left out, and so are curves without any other.
        step: String, what the x axis counts.

    Returns:
        A `Chart`, or None where there is nothing to draw.
    """
    finite = {
        name: [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        for name, points in curves.items()
    }
    finite = {name: points for name, points in finite.items() if points}
    if not finite:
        return None
    at: dict[float, list[tuple[str, float]]] = {}
    for name, points in finite.items():
        for x, y in points:
            at.setdefault(x, []).append((name, y))
    xs = sorted(at)
    ys = [y for points in finite.values() for _, y in points]
    logarithmic = min(ys) > 0 and max(ys) / min(ys) >= _LOGARITHMIC_FROM
    x_axis = _Axis(xs[0], xs[-1], _LEFT, _RIGHT, whole=True)
    y_axis = _Axis(min(ys), max(ys), _BOTTOM, _TOP, logarithmic=logarithmic)
    roots = list(dict.fromkeys(name.removeprefix(_HELD_OUT) for name in curves))
    kinds = {name: roots.index(name.removeprefix(_HELD_OUT)) % _COLOURS for name in finite}
    lines = [
        Line(
            name,
            _number(points[0][1]),
            _number(points[-1][1]),
            kinds[name],
            name.startswith(_HELD_OUT),
            " ".join(f"{x_axis.place(x):g},{y_axis.place(y):g}" for x, y in points),
        )
        for name, points in finite.items()
    ]
    steps = []
    if len(xs) <= _MOST_STEPS:
        edges = _edges([x_axis.place(x) for x in xs])
        for x, (left, right) in zip(xs, itertools.pairwise(edges), strict=True):
            label = "\n".join([f"{step} {x:g}", *(f"{name}: {_number(y)}" for name, y in at[x])])
            dots = [(x_axis.place(x), y_axis.place(y), kinds[name]) for name, y in at[x]]
            steps.append(Step(left, round(right - left, 1), label, dots))
    return Chart(
        title,
        "logarithmic" if logarithmic else "",
        lines,
        len(curves) > 1,
        x_axis.ticks,
        y_axis.ticks,
        steps,
        dotted=len(xs) <= _MOST_DOTS,
    )


class _Axis:
    """From values to places on the page. `ticks` are the places that are named: `(place, name)`."""

    def __init__(
        self,
        low: float,
        high: float,
        first: float,
        last: float,
        whole: bool = False,
        logarithmic: bool = False,
    ) -> None:
        # Imported here: it takes a third of a second, and most sessions draw nothing.
        from matplotlib import ticker  # noqa: PLC0415

        locator = (
            ticker.LogLocator(numticks=5)
            if logarithmic
            else ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=whole)
        )
        if low == high and not whole:  # a value in the middle, with something around it
            low, high = low - (abs(low) / 10 or 1.0), high + (abs(high) / 10 or 1.0)
        ticks = [float(tick) for tick in locator.tick_values(low, high)]
        if not whole:  # the scale ends at ticks
            low = max((tick for tick in ticks if tick <= low), default=low)
            high = min((tick for tick in ticks if tick >= high), default=high)
        self._low, self._high, self._first, self._last = low, high, first, last
        self._logarithmic = logarithmic
        self.ticks = [(self.place(tick), _number(tick)) for tick in ticks if low <= tick <= high]

    def place(self, value: float) -> float:
        """Where a value stands."""
        low, high = self._scaled(self._low), self._scaled(self._high)
        share = (self._scaled(value) - low) / (high - low) if high > low else 0.5
        return round(self._first + share * (self._last - self._first), 1)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self._logarithmic else value


def headline(title: str) -> str:
    """The title with a capital letter, and those it has."""
    return title[:1].upper() + title[1:]


def _edges(places: Sequence[float]) -> list[float]:
    """The borders between neighbours, with those of the whole at both ends."""
    between = [round((left + right) / 2, 1) for left, right in itertools.pairwise(places)]
    return [float(_LEFT), *between, float(_RIGHT)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def _words(name: str) -> str:
    root = name.removeprefix("val_")
    return (_HELD_OUT if root != name else "") + root.replace("_", " ")
