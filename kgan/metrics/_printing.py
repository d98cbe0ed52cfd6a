"""Shows the results of measurements as a table, in a terminal and in a notebook."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape


@dataclass(frozen=True)
class Table:
    """A table of results.

    Args:
        rows: Rows of the same number of cells, the first of them the heads. The first column has
            titles, the last one notes, and those between them have numbers.
        before: Sentences above the table.
        after: Sentences below the table.
    """

    rows: Sequence[Sequence[str]]
    before: Sequence[str] = ()
    after: Sequence[str] = ()

    def as_text(self) -> str:
        """Returns lines with the columns aligned."""
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        lines = list(self.before)
        for title, *numbers, note in self.rows:
            cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True)]
            lines.append("  ".join([title.ljust(widths[0]), *cells, note]).rstrip())
        return "\n".join([*lines, *self.after])

    def as_html(self) -> str:
        """Returns an HTML table, for a notebook."""
        heads, *rows = self.rows
        parts = ["<div>", *map(_paragraph, self.before)]
        parts += ["<table>", "<thead>", _row("th", heads), "</thead>", "<tbody>"]
        parts += [_row("td", row) for row in rows]
        parts += ["</tbody>", "</table>", *map(_paragraph, self.after), "</div>"]
        return "\n".join(parts)


class Printed:
    """Shows an object as its table: `print`, the prompt of Python, and notebooks."""

    def _table(self) -> Table:
        raise NotImplementedError

    def __str__(self) -> str:
        return self._table().as_text()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Called by notebooks."""
        return self._table().as_html()


class Titled(Printed):
    """A result with a title above its table.

    Args:
        title: A sentence.
        result: The result.
    """

    def __init__(self, title: str, result: Printed) -> None:
        self._title = title
        self._result = result

    def _table(self) -> Table:
        table = self._result._table()
        return replace(table, before=[self._title, *table.before])


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _row(tag: str, cells: Sequence[str]) -> str:
    title, *numbers, note = map(escape, cells)
    aligned = [("left", title), *(("right", number) for number in numbers), ("left", note)]
    inner = "".join(f'<{tag} style="text-align: {side}">{text}</{tag}>' for side, text in aligned)
    return f"<tr>{inner}</tr>"
