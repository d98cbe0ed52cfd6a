"""The table of log names: how each log is shown, and which values of it are a bad sign.

Families register the names of their logs; callbacks and the report look them up. So no other module
needs to know a name. Logs that nobody registered are described by their names alone: one that ends
in `loss` is a loss, one that ends in `gradient_norm` is the length of a gradient.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = [
    "GRADIENTS",
    "HELD_OUT",
    "LOSSES",
    "Gradient",
    "Limit",
    "LogName",
    "describe",
    "headline",
    "held_out",
    "hide",
    "in_panels",
    "register",
]

HELD_OUT = "val_"
"""The prefix that Keras gives to logs of validation data."""

LOSSES = "Losses"
GRADIENTS = "Gradient norms"

# Unregistered logs, such as penalties, are computed between a loss and its gradient.
_ORDER = 50


@dataclass(frozen=True)
class Limit:
    """A bound of healthy values of a log. Beyond it, `kgan.callbacks.CollapseAlarm` warns.

    Args:
        sign: String, the name of the alarm. Several limits may share it.
        message: String, what the value means and what usually helps. `{value}`, with any format, is
            the value.
        at_least: Float, the alarm is given for values of at least this. Defaults to none.
        at_most: Float, the alarm is given for values of at most this. Defaults to none.
    """

    sign: str
    message: str
    at_least: float | None = None
    at_most: float | None = None

    def is_reached(self, value: float) -> bool:
        """Returns whether a value is a reason for the alarm."""
        too_high = self.at_least is not None and value >= self.at_least
        too_low = self.at_most is not None and value <= self.at_most
        return too_high or too_low


@dataclass(frozen=True)
class Gradient:
    """Marks a log as the length of a gradient, which may vanish or explode.

    Args:
        of: String, the network or networks whose gradient it is: "generator".
        vanished: String, a sentence on what helps if it vanishes.
        exploded: String, a sentence on what helps if it explodes.
    """

    of: str
    vanished: str = ""
    exploded: str = ""


@dataclass(frozen=True)
class LogName:
    """A name in the logs.

    Args:
        name: String, as in the logs.
        label: String, its name within the panel, for people: "generator".
        panel: String, the title of the chart that it is drawn in, with all others of that panel.
        order: Integer. A training step computes logs of a lower order first, so among several that
            are NaN, the first is where it began.
        nan: String, sentences on what it means if this log is the first that is NaN.
        limits: `Limit`s of its healthy values.
        gradient: A `Gradient`, if it is the length of one.
    """

    name: str
    label: str
    panel: str
    order: int = _ORDER
    nan: str = ""
    limits: tuple[Limit, ...] = ()
    gradient: Gradient | None = None


_COMMON = (
    LogName("loss", "objective", LOSSES, order=20),
    LogName(
        "gradient_norm",
        "all networks",
        GRADIENTS,
        order=95,
        nan="The loss is finite, its gradient is not: look for a square root or a norm of 0, or "
        "lower the learning rate.",
        gradient=Gradient("model"),
    ),
)
"""The logs of every family with a single optimizer."""

_TABLE: dict[str, LogName] = {each.name: each for each in _COMMON}
_HIDDEN: set[str] = set()


def register(*log_names: LogName) -> None:
    """Adds names to the table.

    Args:
        *log_names: `LogName`s, in the order in which panels and their lines are drawn.

    Raises:
        ValueError: A name is registered already, with another description.

    Example:
    ```python
    from kgan.training import log_names

    log_names.register(
        log_names.LogName("codebook_loss", "codebook", log_names.LOSSES, order=20),
        log_names.LogName("codes_used", "codes", "Codes used", order=10),
    )
    assert log_names.describe("codes_used").panel == "Codes used"
    ```
    """
    for each in log_names:
        present = _TABLE.setdefault(each.name, each)
        if present != each:
            raise ValueError(
                f"Expected a log name that is not registered, or the same description. Received: "
                f"{each.name!r} as {each.label!r}, but it is {present.label!r} in the panel "
                f"{present.panel!r}. Choose another name, or use the present one."
            )


def hide(*names: str) -> None:
    """Leaves logs out of the progress line of `fit`, which has room for few. They stay in the logs.

    Args:
        *names: Strings, as in the logs. The same logs of held-out data are left out with them.

    Example:
    ```python
    kgan.training.log_names.hide("codes_used")
    ```
    """
    _HIDDEN.update(names)


def is_hidden(name: str) -> bool:
    """Whether the progress line leaves a log out: those that `hide` names, and gradient norms."""
    trained = name.removeprefix(HELD_OUT)
    return trained in _HIDDEN or describe(trained).gradient is not None


def describe(name: str) -> LogName:
    """Looks a name up.

    Args:
        name: String, as in the logs. A name with Keras's `val_` is described as that of held-out
            data, in the same panel.

    Returns:
        Its `LogName`, which is made up from the name if no family registered it.

    Example:
    ```python
    log = kgan.training.log_names.describe("val_generator_loss")
    assert (log.label, log.panel) == ("held-out generator", "Losses")
    ```
    """
    if name in _TABLE:
        return _TABLE[name]
    if name.startswith(HELD_OUT) and name != HELD_OUT:
        trained = describe(name.removeprefix(HELD_OUT))
        return replace(trained, name=name, label=held_out(trained.label), limits=(), gradient=None)
    return _made_up(name)


def held_out(label: str) -> str:
    """The label of the same log of held-out data.

    Example:
    ```python
    assert kgan.training.log_names.held_out("generator") == "held-out generator"
    ```
    """
    return f"held-out {label}"


def in_panels(names: Iterable[str]) -> dict[str, list[LogName]]:
    """Groups the names of logs by the charts that they are drawn in.

    Args:
        names: Strings.

    Returns:
        `LogName`s by the titles of their panels. Panels and the names within them come in the order
        of the table, names that are not registered after them, and within a panel held-out names
        last. The panel of gradient norms is the last one.

    Example:
    ```python
    panels = kgan.training.log_names.in_panels(gan.log_names())
    for title, logs in panels.items():
        print(title, [log.label for log in logs])
    ```
    """
    places = {name: place for place, name in enumerate(_TABLE)}

    def place(each: LogName) -> tuple[bool, int]:
        trained = each.name.removeprefix(HELD_OUT)
        return trained != each.name, places.get(trained, len(places))

    panels: dict[str, list[LogName]] = {}
    for described in map(describe, names):
        panels.setdefault(described.panel, []).append(described)
    in_order = {title: sorted(within, key=place) for title, within in panels.items()}

    def panel_place(panel: tuple[str, list[LogName]]) -> tuple[bool, int]:
        title, within = panel
        return title == GRADIENTS, min(place(each)[1] for each in within)

    return dict(sorted(in_order.items(), key=panel_place))


def _made_up(name: str) -> LogName:
    label = name.replace("_", " ")
    if name.endswith("gradient_norm"):
        of = name.removesuffix("gradient_norm").strip("_").replace("_", " ") or "model"
        return LogName(name, of, GRADIENTS, gradient=Gradient(of))
    if name == "loss" or name.endswith("_loss"):
        return LogName(name, label.removesuffix(" loss"), LOSSES)
    return LogName(name, label, headline(label))


def headline(title: str) -> str:
    """The title with its first letter as a capital; the others stay as they are.

    Example:
    ```python
    assert kgan.training.log_names.headline("codes in use") == "Codes in use"
    ```
    """
    return title[:1].upper() + title[1:]
