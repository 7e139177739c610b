"""The plan of a sweep: a TOML file that names the data, the base settings, and what is varied how."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classify.settings import Settings, read_settings
from classify.toml import read_toml
from curate.errors import UserError, known_names

WAYS = ("grid", "one-at-a-time")
MEASURES = ("val_macro_f1", "val_accuracy")
_KEYS = ("train", "test", "settings", "way", "seeds", "minutes", "compare", "base", "factors", "search")
_RANGE = ("low", "high", "log", "choices")


@dataclass(frozen=True)
class Combination:
    """One point of the plan: `changes` maps `section.key` to its value; `settings` are the base's with them, resolved.

    `name` is for people; `training.seed` is 0 here, the seed belongs to the cell.
    """

    name: str
    changes: dict[str, Any]
    settings: Settings


@dataclass(frozen=True)
class Range:
    """Where a search may look for a key's value: from `low` to `high`, evenly in the logarithm if `log`; or `choices`."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Search:
    """How many combinations a search tries, the seed of its sampler, and the range of each `section.key`."""

    trials: int
    seed: int
    ranges: dict[str, Range]


@dataclass(frozen=True)
class Plan:
    """A checked plan. Either `factors` (each `section.key` with its values) or `search` is there.

    `minutes` is the time in which cells may begin, 0: no limit. `compare` is the measure that decides.
    """

    path: Path
    train: Path
    test: Path | None
    base: Settings
    way: str
    seeds: tuple[int, ...]
    minutes: float
    compare: str
    factors: dict[str, tuple[Any, ...]]
    search: Search | None

    @property
    def keys(self) -> list[str]:
        """What is varied, each as `section.key`."""
        return list(self.search.ranges if self.search else self.factors)

    def combination(self, changes: Mapping[str, Any], name: str = "") -> Combination:
        """The base settings with some keys changed; named by the changes unless a name is given."""
        settings = self.base.replaced(_nested(changes), str(self.path)).resolved()
        return Combination(name or _name(changes, self.keys), dict(changes), with_seed(settings, 0))

    def combinations(self) -> list[Combination]:
        """All that the factors give, without repetitions, the baseline first; of a search the baseline alone.

        One at a time: the baseline is the base settings. Grid: each factor at the base settings' value, or where its
        list has not got that, at the first of the list.
        """
        if self.search or self.way == "one-at-a-time":
            found = [self.combination({}, "baseline")]
            found += [
                self.combination({key: value}) for key, values in self.factors.items() for value in values
            ]
        else:
            middle = {key: self._base_value(key, values) for key, values in self.factors.items()}
            points = itertools.product(*self.factors.values())
            found = [self.combination(middle)]
            found += [self.combination(dict(zip(self.factors, point, strict=True))) for point in points]
        different: dict[str, Combination] = {}
        for combination in found:
            different.setdefault(repr(combination.settings), combination)
        return list(different.values())

    def _base_value(self, key: str, values: Sequence[Any]) -> Any:
        for settings in (self.base, self.base.resolved()):
            value = value_of(settings, key)
            if value in values:
                return value
        return values[0]


def with_seed(settings: Settings, seed: int) -> Settings:
    """The same settings with another `training.seed`."""
    return dataclasses.replace(settings, training=dataclasses.replace(settings.training, seed=seed))


def read_plan(path: str | Path) -> Plan:
    """The plan in a TOML file, every settings key and value in it checked. Paths in it are relative to the file.

    Raises UserError, naming the closest match of a name that is not known.
    """
    path = Path(path)
    content = read_toml(path, "plan")
    for key in content:
        check_known(key, _KEYS, f"{path}: there is no key '{key}' in a plan.")
    train = _text(content, "train", path)
    if not train:
        raise UserError(
            f"{path}: it does not say what to train on.", 'Write train = "FOLDER", relative to the plan.'
        )
    test, settings = _text(content, "test", path), _text(content, "settings", path)
    way, compare = _text(content, "way", path) or "grid", _text(content, "compare", path) or MEASURES[0]
    check_known(way, WAYS, f"{path}: way is '{way}'.")
    check_known(compare, MEASURES, f"{path}: compare is '{compare}'.")
    base = read_settings(path.parent / settings if settings else None)
    base = base.replaced(_nested(_flat(content.get("base", {}), path, "base")), f"{path}: [base]")
    factors = _factors(_flat(content.get("factors", {}), path, "factors"), base, path)
    search = _search(content["search"], base, path) if "search" in content else None
    if bool(factors) == bool(search):
        raise UserError(
            f"{path}: has {'both [factors] and [search]' if search else 'neither [factors] nor [search]'}.",
            "Write one of them: [factors] with optimizer.lr = [0.001, 0.002], for example.",
        )
    return Plan(
        path=path,
        train=path.parent / train,
        test=path.parent / test if test else None,
        base=base,
        way=way,
        seeds=_seeds(content.get("seeds", [0]), path),
        minutes=_minutes(content.get("minutes", 0), path),
        compare=compare,
        factors=factors,
        search=search,
    )


# The file -------------------------------------------------------------------------------------------------------


def check_known(name: str, known: Sequence[str], message: str) -> None:
    """Raise UserError with `message` and the closest match where `name` is not among `known`."""
    if name not in known:
        raise UserError(message, known_names(name, known))


def _text(content: Mapping[str, Any], key: str, path: Path) -> str:
    value = content.get(key, "")
    if not isinstance(value, str):
        raise UserError(f"{path}: {key} is a text, not {value!r}.", f'Write {key} = "...".')
    return value


def _seeds(value: Any, path: Path) -> tuple[int, ...]:
    whole = isinstance(value, list) and all(type(seed) is int and 0 <= seed < 2**31 for seed in value)
    if not whole or not value or len(set(value)) < len(value):
        raise UserError(
            f"{path}: seeds is a list of different whole numbers from 0 on, not {value!r}.",
            "For example seeds = [0, 1, 2].",
        )
    return tuple(value)


def _minutes(value: Any, path: Path) -> float:
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise UserError(f"{path}: minutes is a number from 0 on, not {value!r}.", "0 sets no limit.")
    return float(value)


def _flat(table: Any, path: Path, name: str) -> dict[str, Any]:
    """A table of sections, or of quoted keys "section.key", as `section.key` -> value."""
    flat: dict[str, Any] = {}
    if not isinstance(table, Mapping):
        raise UserError(f"{path}: {name} is a table, not {table!r}.", f"Write [{name}] with keys below it.")
    for section, keys in table.items():
        if "." in section:
            flat[section] = keys
        elif isinstance(keys, Mapping):
            flat.update({f"{section}.{key}": value for key, value in keys.items()})
        else:
            raise UserError(
                f"{path}: [{name}] '{section}' is not of the form section.key.", "For example optimizer.lr."
            )
    if "training.seed" in flat:
        raise UserError(
            f"{path}: [{name}] training.seed is the plan's own.", "Write seeds = [0, 1, 2] at the top."
        )
    return flat


def _nested(flat: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for name, value in flat.items():
        section, _, key = name.partition(".")
        nested.setdefault(section, {})[key] = value
    return nested


# What is varied -------------------------------------------------------------------------------------------------


def value_of(settings: Settings, key: str) -> Any:
    """The value of `section.key`."""
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)


def _checked(key: str, values: Iterable[Any], base: Settings, origin: str) -> tuple[Any, ...]:
    """The values as the settings hold them. Raises UserError for a key that is none or a value out of its limits."""
    return tuple(value_of(base.replaced(_nested({key: value}), origin), key) for value in values)


def _factors(flat: Mapping[str, Any], base: Settings, path: Path) -> dict[str, tuple[Any, ...]]:
    factors = {}
    for key, values in flat.items():
        if not isinstance(values, list) or not values:
            raise UserError(
                f"{path}: [factors] {key} is a list of values, not {values!r}.", f"Write {key} = [A, B]."
            )
        factors[key] = _checked(key, values, base, f"{path}: [factors]")
        if any(value in factors[key][:i] for i, value in enumerate(factors[key])):
            raise UserError(f"{path}: [factors] {key} holds a value twice.", "Take one of them away.")
    return factors


def _search(table: Any, base: Settings, path: Path) -> Search:
    numbers = {"trials": 0, "seed": 0}
    rest = dict(table) if isinstance(table, Mapping) else table
    if isinstance(rest, dict):
        for name in numbers:
            numbers[name] = rest.pop(name, 0)
    flat = _flat(rest, path, "search")
    for name, low in (("trials", 1), ("seed", 0)):
        if type(numbers[name]) is not int or not low <= numbers[name] < 2**31:
            raise UserError(
                f"{path}: [search] {name} is a whole number from {low} on, not {numbers[name]!r}.",
                f"Write {name} = {20 * low}.",
            )
    if not flat:
        raise UserError(
            f"{path}: [search] has no ranges.",
            "For example optimizer.lr = { low = 0.0005, high = 0.01, log = true }.",
        )
    return Search(
        **numbers, ranges={key: _range(key, value, base, f"{path}: [search]") for key, value in flat.items()}
    )


def _range(key: str, value: Any, base: Settings, origin: str) -> Range:
    example = f"{key} = {{ low = A, high = B, log = true }} or {{ choices = [A, B] }}"
    if not isinstance(value, Mapping):
        raise UserError(f"{origin} {key} is a range, not {value!r}.", f"Write {example}.")
    for name in value:
        check_known(name, _RANGE, f"{origin} {key}: a range has no '{name}'.")
    if "choices" in value:
        choices = value["choices"]
        if len(value) > 1 or not isinstance(choices, list) or not choices:
            raise UserError(f"{origin} {key}: choices is a list and stands alone.", f"Write {example}.")
        return Range(choices=_checked(key, choices, base, origin))
    if not {"low", "high"} <= set(value) or type(value.get("log", False)) is not bool:
        raise UserError(f"{origin} {key}: a range has low and high, and log if need be.", f"Write {example}.")
    low, high = _checked(key, (value["low"], value["high"]), base, origin)
    if type(low) not in (int, float):
        raise UserError(f"{origin} {key} is no number, so it has no range.", "Write choices = [A, B].")
    if not low < high or (value.get("log") and low <= 0):
        raise UserError(
            f"{origin} {key}: low = {low!r}, high = {high!r} is no range.",
            "low is below high, and above 0 where log is true.",
        )
    return Range(low, high, value.get("log", False))


def _name(changes: Mapping[str, Any], keys: Sequence[str]) -> str:
    """`lr=0.001, mixup=0.3`: the section is left out where the key alone is clear."""
    last = [key.partition(".")[2] for key in keys]
    parts = []
    for key, value in changes.items():
        short = key.partition(".")[2]
        parts.append(f"{key if last.count(short) > 1 else short}={_shown(value)}")
    return ", ".join(parts)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
