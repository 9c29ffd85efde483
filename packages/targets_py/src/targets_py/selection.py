"""Selection of names: what every `names=`, `fields=`, `allow=` and `exclude=` accepts.

A selector is a name, a glob, a predicate, a compiled regular expression, a `Selection` such as
`starts_with("fit_")`, or a list of these. It is evaluated against the ordered list of names there are.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from typing import TypeAlias

from targets_py.errors import TarValidateError, TarWarning

__all__ = (
    "Selection",
    "Selector",
    "all_of",
    "any_of",
    "contains",
    "ends_with",
    "everything",
    "last_col",
    "matches",
    "num_range",
    "one_of",
    "starts_with",
    "tar_tidyselect_eval",
)

SHOWN_CHOICES = 20  # an error lists the choices if there are fewer than this

Selector: TypeAlias = "str | re.Pattern[str] | Callable[[str], bool] | Selection | Sequence[Selector] | None"


class Selection:
    """Part of a list of names; combines by `|`, `&`, `-` and `~` with others and with names.

    Example:
        >>> tar_tidyselect_eval(starts_with("fit") - "fit_old", ["data", "fit_new", "fit_old"])
        ['fit_new']
    """

    def pick(self, choices: Collection[str], strict: bool) -> list[str]:
        """The selected names without repetition; `strict` refuses names that do not exist."""
        raise NotImplementedError

    def __or__(self, other: Selector) -> Selection:
        return _Combined("|", self, other)

    def __ror__(self, other: Selector) -> Selection:
        return _Combined("|", other, self)

    def __and__(self, other: Selector) -> Selection:
        return _Combined("&", self, other)

    def __rand__(self, other: Selector) -> Selection:
        return _Combined("&", other, self)

    def __sub__(self, other: Selector) -> Selection:
        return _Combined("-", self, other)

    def __rsub__(self, other: Selector) -> Selection:
        return _Combined("-", other, self)

    def __invert__(self) -> Selection:
        return _Combined("-", everything(), self)


@dataclass(frozen=True)
class _Matching(Selection):
    """Names in which a regular expression is found."""

    regex: re.Pattern[str]
    text: str

    def pick(self, choices: Collection[str], strict: bool) -> list[str]:  # noqa: ARG002 - an empty match is fine
        return [name for name in choices if self.regex.search(name)]

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class _Named(Selection):
    """Names of a given list; `unknown` says what happens to those that do not exist."""

    names: tuple[str, ...]
    unknown: str  # "raise", "warn" or "ignore"
    text: str

    def pick(self, choices: Collection[str], strict: bool) -> list[str]:
        absent = [name for name in self.names if name not in choices]
        if absent and self.unknown == "raise" and strict:
            raise _unknown_name(absent[0], choices)
        if absent and self.unknown == "warn":
            warnings.warn(f"unknown names in {self.text}: {', '.join(absent)}", TarWarning, stacklevel=2)
        return [name for name in dict.fromkeys(self.names) if name in choices]

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class _Last(Selection):
    """The last name but `offset`."""

    offset: int

    def pick(self, choices: Collection[str], strict: bool) -> list[str]:
        if self.offset < len(choices):
            return [list(choices)[-1 - self.offset]]
        if strict:
            raise TarValidateError(f"last_col(offset={self.offset}): there are only {len(choices)} names")
        return []

    def __repr__(self) -> str:
        return f"last_col(offset={self.offset})"


@dataclass(frozen=True)
class _Combined(Selection):
    """Union, intersection or difference of two selectors."""

    operator: str
    left: Selector
    right: Selector

    def pick(self, choices: Collection[str], strict: bool) -> list[str]:
        left, right = _evaluate(self.left, choices, strict), _evaluate(self.right, choices, strict)
        if self.operator == "|":
            return list(dict.fromkeys(left + right))
        others = set(right)
        return [name for name in left if (name in others) is (self.operator == "&")]

    def __repr__(self) -> str:
        return f"({self.left!r} {self.operator} {self.right!r})"


def starts_with(*prefixes: str, ignore_case: bool = True) -> Selection:
    """Names that start with any of the prefixes.

    Args:
        *prefixes: One or more beginnings.
        ignore_case: Whether "A" also finds "a", as in R.

    Example:
        >>> tar_tidyselect_eval(starts_with("fit"), ["data", "fit", "fit_2"])
        ['fit', 'fit_2']
    """
    return _affixes("starts_with", prefixes, "^(?:{})", ignore_case)


def ends_with(*suffixes: str, ignore_case: bool = True) -> Selection:
    """Names that end with any of the suffixes.

    Args:
        *suffixes: One or more endings.
        ignore_case: Whether "A" also finds "a", as in R.

    Example:
        >>> tar_tidyselect_eval(ends_with("_2"), ["data", "fit", "fit_2"])
        ['fit_2']
    """
    return _affixes("ends_with", suffixes, r"(?:{})\Z", ignore_case)


def contains(*parts: str, ignore_case: bool = True) -> Selection:
    """Names that contain any of the literal parts.

    Args:
        *parts: One or more texts.
        ignore_case: Whether "A" also finds "a", as in R.

    Example:
        >>> tar_tidyselect_eval(contains("it"), ["data", "fit", "fit_2"])
        ['fit', 'fit_2']
    """
    return _affixes("contains", parts, "(?:{})", ignore_case)


def matches(regex: str | re.Pattern[str], ignore_case: bool = True) -> Selection:
    """Names in which the regular expression is found.

    Args:
        regex: A pattern of the module re; a compiled one keeps its own flags.
        ignore_case: Whether "A" also finds "a", as in R.

    Raises:
        TarValidateError: The expression is not valid.

    Example:
        >>> tar_tidyselect_eval(matches("_[0-9]$"), ["data", "fit", "fit_2"])
        ['fit_2']
    """
    if isinstance(regex, re.Pattern):
        return _Matching(regex, f"matches({regex.pattern!r})")
    try:
        return _Matching(re.compile(regex, re.IGNORECASE if ignore_case else 0), f"matches({regex!r})")
    except re.error as error:
        raise TarValidateError(f"matches({regex!r}): not a regular expression: {error}") from None


def all_of(names: str | Iterable[str]) -> Selection:
    """Exactly these names; one that does not exist is an error.

    Example:
        >>> tar_tidyselect_eval(all_of(["z", "x"]), ["x", "y", "z"])
        ['z', 'x']
    """
    found = _names_of("all_of", names)
    return _Named(found, "raise", f"all_of({list(found)!r})")


def any_of(names: str | Iterable[str], *more: str) -> Selection:
    """Those of these names that exist; others are ignored in silence.

    Example:
        >>> tar_tidyselect_eval(any_of(["z", "nope"]), ["x", "y", "z"])
        ['z']
    """
    found = _names_of("any_of", names) + _names_of("any_of", more)
    return _Named(found, "ignore", f"any_of({list(found)!r})")


def one_of(*names: str) -> Selection:
    """Those of these names that exist; others give a TarWarning.

    Example:
        >>> tar_tidyselect_eval(one_of("z", "x"), ["x", "y", "z"])
        ['z', 'x']
    """
    found = _names_of("one_of", names)
    return _Named(found, "warn", f"one_of({', '.join(map(repr, found))})")


def num_range(prefix: str, range: Iterable[int], width: int | None = None) -> Selection:  # noqa: A002 - R's name
    """Names made of a prefix and a number, such as x1, x2, x3.

    Args:
        prefix: What stands before the number.
        range: The numbers.
        width: Digits of the number, filled up with zeros (2: x01); None: as short as possible.

    Example:
        >>> tar_tidyselect_eval(num_range("x", range(1, 3), width=2), ["x01", "x02", "x03"])
        ['x01', 'x02']
    """
    numbers = tuple(range)
    found = tuple(f"{prefix}{str(number).zfill(width or 0)}" for number in numbers)
    return _Named(found, "ignore", f"num_range({prefix!r}, {list(numbers)!r}, width={width!r})")


def everything() -> Selection:
    """All names.

    Example:
        >>> tar_tidyselect_eval(everything() - "fit", ["data", "fit"])
        ['data']
    """
    return _Matching(re.compile(""), "everything()")


def last_col(offset: int = 0) -> Selection:
    """The last name.

    Args:
        offset: How many names to count back from the last.

    Raises:
        TarValidateError: The offset is negative.

    Example:
        >>> tar_tidyselect_eval(last_col(), ["data", "fit"])
        ['fit']
    """
    if offset < 0:
        raise TarValidateError(f"last_col(offset={offset}): the offset must be 0 or more")
    return _Last(offset)


def tar_tidyselect_eval(selector: Selector, choices: Iterable[str], strict: bool = True) -> list[str] | None:
    """Evaluate a selector the way the package's own functions do, for writers of target factories.

    Args:
        selector: What to select; None selects nothing in particular.
        choices: The names there are, in their order.
        strict: Whether a name that is not among the choices is an error.

    Returns:
        The selected names without repetition: those of lists in their order, those of a glob, a predicate or
        a helper like starts_with() in the order of the choices. None if the selector is None.

    Raises:
        TarValidateError: A name is not among the choices (with `strict`), or the selector is of no kind.

    Example:
        >>> tar_tidyselect_eval(["z", "y_*", "!y_2"], ["x", "y_1", "y_2", "z"])
        ['z', 'y_1']
    """
    if selector is None:
        return None
    names = dict.fromkeys(choices)
    return _evaluate(selector, names, strict) if names else []


def _evaluate(selector: Selector, choices: Collection[str], strict: bool) -> list[str]:
    if selector is None:
        return list(choices)
    if isinstance(selector, str):
        return _evaluate_text(selector, choices, strict)
    if isinstance(selector, Selection):
        return selector.pick(choices, strict)
    if isinstance(selector, re.Pattern):
        return [name for name in choices if selector.search(name)]
    if callable(selector):
        return [name for name in choices if selector(name)]
    if isinstance(selector, Iterable):
        return _evaluate_list(list(selector), choices, strict)
    raise TarValidateError(
        f"cannot select names by {selector!r} of type {type(selector).__name__}: give a name, a glob like"
        ' "y_*", a function of the name, a compiled regular expression, starts_with() and the like, or a'
        " list of these"
    )


def _evaluate_text(text: str, choices: Collection[str], strict: bool) -> list[str]:
    if text.startswith("!"):
        return _evaluate_list([text], choices, strict)
    if text in choices:
        return [text]
    if any(mark in text for mark in "*?["):
        return [name for name in choices if fnmatchcase(name, text)]
    if strict:
        raise _unknown_name(text, choices)
    return []


def _evaluate_list(selectors: Sequence[Selector], choices: Collection[str], strict: bool) -> list[str]:
    picked: dict[str, None] = {}
    for position, selector in enumerate(selectors):
        if not (isinstance(selector, str) and selector.startswith("!")):
            picked.update(dict.fromkeys(_evaluate(selector, choices, strict)))
            continue
        if position == 0:
            picked.update(dict.fromkeys(choices))
        for name in _evaluate(selector[1:], choices, strict):
            picked.pop(name, None)
    return list(picked)


def _affixes(helper: str, texts: tuple[str, ...], template: str, ignore_case: bool) -> Selection:
    texts = tuple(chain.from_iterable([text] if isinstance(text, str) else text for text in texts))
    _names_of(helper, texts)
    pattern = template.format("|".join(map(re.escape, texts))) if texts else r"(?!)"
    return _Matching(
        re.compile(pattern, re.IGNORECASE if ignore_case else 0), f"{helper}({', '.join(map(repr, texts))})"
    )


def _names_of(helper: str, names: str | Iterable[str]) -> tuple[str, ...]:
    found = (names,) if isinstance(names, str) else tuple(names)
    for name in found:
        if not isinstance(name, str):
            raise TarValidateError(f"{helper}(): every name must be a str, not {name!r}")
    return found


def _unknown_name(name: str, choices: Collection[str]) -> TarValidateError:
    import difflib

    message = f"unknown name {name!r}."
    close = difflib.get_close_matches(name, choices)
    if close:
        message += f" Did you mean {' or '.join(map(repr, close))}?"
    if len(choices) < SHOWN_CHOICES:
        message += f" There are: {', '.join(choices)}."
    return TarValidateError(message)
