# python tools/check_style.py
"""Finds words to avoid in pages and in Python files, and says what to write instead.

The pages are README.md, CHANGELOG.md, CONTRIBUTING.md and docs/, without code, quoted or indented.
In Python files of the package, examples, benchmarks and tools it searches comments and strings.

To add a word, add a line to `AVOID`.
"""

import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Regular expressions, and what to write instead.
AVOID = {
    r"beside": "next to, in addition to",
    r"likewise": "also, in the same way",
    r"anew": "again",
    r"wholly": "completely",
    r"hence": "so",
    r"mends?|mended": "fix",
    r"fellows?": "neighbour, other",
    r"whoever|somebody": "anyone",
    r"whatever ended": "however it ended",
    r"of late": "recently",
    r"of (?:one's|your|its|their|kgan's) own(?! (?:samples|images|pictures))": "custom, your own X",
    r"could not be had|can be had|cannot be had": "is not available",
    r"in words": "(leave it out), with a message",
    r"worked out|works out|work out": "computed, computes",
    r"go(?:es)? on|gone on|going on|went on": "continues, resumes",
    r"is to be|are to be|is to find": "should, must",
    r"but for": "except",
    r"thus|therefore|thereof|wherein|thereby": "so",
    r"upon": "on",
    r"amongst|whilst": "among, while",
    r"utili[sz]e[sd]?": "use",
    r"to the last bit": "bit for bit",
    r"nobody knows|no one knows": "we cannot know",
    r"as of (?!\d)": "as in",
    r"not a few|not seldom|seldom": "many, rarely",
    r"behold|forthwith|henceforth": "(leave it out)",
}


def prose(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a page that are not code, with their numbers and without quoted code."""
    fenced = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            # Quoted code, addresses of links, pictures, comments.
            yield number, re.sub(r"`[^`]*`|\]\([^)]*\)|<[^>]*>", "", line)


def comments_and_strings(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a Python file's comments and strings, numbered and without quoted code."""
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", None)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            for number, line in enumerate(token.string.splitlines(), start=token.start[0]):
                yield number, re.sub(r"`[^`]*`", "", line)


def findings(
    text: str, lines: Callable[[str], Iterator[tuple[int, str]]] = prose
) -> Iterator[tuple[int, str, str]]:
    """Words to avoid in a text: the line's number, the word, and what to write instead."""
    for number, line in lines(text):
        for pattern, instead in AVOID.items():
            for match in re.finditer(rf"\b(?:{pattern})\b", line, re.I):
                yield number, match[0], instead


def pages() -> list[Path]:
    """All pages for people."""
    roots = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    return [*roots, *sorted((ROOT / "docs").rglob("*.md"))]


def modules() -> list[Path]:
    """All Python files that users read."""
    roots = (ROOT / name for name in ("kgan", "examples", "benchmarks", "tools"))
    return sorted(
        path for root in roots for path in root.rglob("*.py") if path != Path(__file__).resolve()
    )


def main() -> int:
    """Prints a line for each word, and fails if there is one."""
    found = 0
    texts = [(page, prose) for page in pages()]
    texts += [(module, comments_and_strings) for module in modules()]
    for path, lines in texts:
        for number, word, instead in findings(path.read_text(), lines):
            found += 1
            print(f'{path.relative_to(ROOT)}:{number}: "{word}": write {instead}')
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
