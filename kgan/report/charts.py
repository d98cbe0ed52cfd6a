"""Line charts as a template draws them: the positions of lines, ticks and dots."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kgan.metrics import MEASURES
from kgan.training.log_names import HELD_OUT, headline, in_panels

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 320, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 312, 10, 166
# At this ratio of values, a linear scale would show only one end of them.
_LOGARITHMIC_FROM = 50.0
# More dots than this would overlap; then they appear one by one, under the pointer.
_MOST_DOTS = 40
_MOST_STEPS = 400
_COLOURS = 4  # k0 to k3 of style.css


@dataclass(frozen=True)
class Line:
    """One curve.

    Args:
        name: String, for people.
        first: String, its first value.
        last: String, its last value.
        kind: Integer, the number of its colour.
        held_out: Whether it is of held-out data, and dashed.
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
    """The values at one place of the x axis.

    Args:
        left: Float, where the area begins in which the pointer selects it.
        width: Float, the width of that area.
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
        note: String, the kind of scale if it is not linear.
        lines: The `Line`s.
        named: Whether the names of lines say more than the title.
        x_ticks: `(x, label)` of each.
        y_ticks: `(y, label)` of each.
        steps: `Step`s; none if they would be too many.
        dotted: Whether the dots of all steps are visible.
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
        """The content of the chart as text, for screen readers."""
        lines = (f"{line.name} from {line.first} to {line.last}" for line in self.lines)
        return f"{self.title}: {', '.join(lines)}"


@dataclass(frozen=True)
class Curve:
    """A line to draw.

    Args:
        name: String, for people.
        points: Its points `(x, y)`, in the order of x.
        held_out: Whether it is of held-out data: then it is dashed, in the colour of `twin`.
        twin: String, the name of the curve of the same log in training. Defaults to `name`.
    """

    name: str
    points: Points
    held_out: bool = False
    twin: str = ""


def history_charts(history: Sequence[Mapping[str, float]]) -> tuple[list[Chart], list[Chart]]:
    """Draws the logs of a training.

    Args:
        history: The logs of each epoch, with its number under `epoch`. Names may be missing from
            some, and values NaN.

    Returns:
        `(training, metrics)`: charts of the model's logs, and of the metrics of its samples.
    """
    names = list(dict.fromkeys(name for logs in history for name in logs if name != "epoch"))
    points = {
        name: [(logs["epoch"], logs[name]) for logs in history if name in logs] for name in names
    }
    measured = [name for name in names if name.removeprefix(HELD_OUT) in MEASURES]
    training = []
    for title, within in in_panels(name for name in names if name not in measured).items():
        trained = {each.name: each.label for each in within}
        curves = [
            Curve(
                each.label,
                points[each.name],
                held_out=each.name.startswith(HELD_OUT),
                twin=trained.get(each.name.removeprefix(HELD_OUT), ""),
            )
            for each in within
        ]
        training.append(line_chart(title, curves))
    metrics = []
    for name in measured:
        title = MEASURES[name.removeprefix(HELD_OUT)].title
        metrics.append(line_chart(headline(title), [Curve(title, points[name])]))
    return [c for c in training if c is not None], [c for c in metrics if c is not None]


def line_chart(title: str, curves: Sequence[Curve], step: str = "epoch") -> Chart | None:
    """Draws curves over one axis.

    Args:
        title: String.
        curves: `Curve`s. Points that are not finite are left out, and so are curves without any
            other.
        step: String, what the x axis counts.

    Returns:
        A `Chart`, or None if there is nothing to draw.
    """
    roots = list(dict.fromkeys(curve.twin or curve.name for curve in curves))
    finite = [(curve, _finite(curve.points)) for curve in curves]
    drawn = [(curve, points) for curve, points in finite if points]
    if not drawn:
        return None
    kinds = {curve.name: roots.index(curve.twin or curve.name) % _COLOURS for curve in curves}
    at: dict[float, list[tuple[str, float]]] = {}
    for curve, points in drawn:
        for x, y in points:
            at.setdefault(x, []).append((curve.name, y))
    xs = sorted(at)
    ys = [y for _, points in drawn for _, y in points]
    logarithmic = min(ys) > 0 and max(ys) / min(ys) >= _LOGARITHMIC_FROM
    x_axis = _Axis(xs[0], xs[-1], _LEFT, _RIGHT, whole=all(x == int(x) for x in xs))
    y_axis = _Axis(min(ys), max(ys), _BOTTOM, _TOP, logarithmic=logarithmic)
    lines = [
        Line(
            curve.name,
            _number(points[0][1]),
            _number(points[-1][1]),
            kinds[curve.name],
            curve.held_out,
            " ".join(f"{x_axis.place(x):g},{y_axis.place(y):g}" for x, y in points),
        )
        for curve, points in drawn
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
        len(curves) > 1 or curves[0].held_out,
        x_axis.ticks,
        y_axis.ticks,
        steps,
        dotted=len(xs) <= _MOST_DOTS,
    )


def _finite(points: Points) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


class _Axis:
    """Converts values to positions on the page. `ticks` are `(position, name)`."""

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
        """The position of a value."""
        low, high = self._scaled(self._low), self._scaled(self._high)
        share = (self._scaled(value) - low) / (high - low) if high > low else 0.5
        return round(self._first + share * (self._last - self._first), 1)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self._logarithmic else value


def _edges(places: Sequence[float]) -> list[float]:
    """The borders between neighbours, with those of the axis at both ends."""
    between = [round((left + right) / 2, 1) for left, right in itertools.pairwise(places)]
    return [float(_LEFT), *between, float(_RIGHT)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
