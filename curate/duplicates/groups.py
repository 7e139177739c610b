"""From pairs to groups in which nothing chains: each member was found alike to the file that the group keeps.

Connected components only partition the work. Within one, the best copy that is still free becomes a keeper and takes
the free pictures that are directly linked to it; then the next best. A picture that is linked only to a member, and
not to the keeper, stays out of the group.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.duplicates.keeper import Copy, best, why, within

if TYPE_CHECKING:
    import pandas as pd

    from curate.duplicates.provenance import Cases

TIERS = ("exact", "pixel", "verdict", "near")
"""From the surest to the least sure."""

_ALIKE = {
    "exact": "the same bytes as {keeper}",
    "pixel": "the same pixels as {keeper}",
    "verdict": "a person said that it is the same picture as {keeper}",
    "near": "an edited copy of {keeper} (score {score:.2f})",
}
_READ = ("path", "content", "label", "real_side", "side", "size", "mtime_ns", "format")

Links = dict[str, dict[str, tuple[str, float]]]


def link(pairs: pd.DataFrame) -> Links:
    """Content -> alike content -> (tier, score), both ways.

    The table `pairs` ties each of several contents with one picture to the first of them (tier pixel), and has near
    pairs between those first ones only; what holds for one holds for all.
    """
    first: dict[str, str] = {}
    alike: dict[str, list[str]] = {}
    links: Links = defaultdict(dict)
    rows = list(zip(pairs.content_a, pairs.content_b, pairs.tier, pairs.score, strict=True))
    for a, b, tier, _ in rows:
        if tier == "pixel":
            first[b] = a
            alike.setdefault(a, [a]).append(b)
    for members in alike.values():
        for a in members:
            links[a].update({b: ("pixel", 1.0) for b in members if b != a})
    for a, b, tier, score in rows:
        if tier != "pixel":
            for x in alike.get(first.get(a, a), [a]):
                for y in alike.get(first.get(b, b), [b]):
                    links[x][y] = links[y][x] = (tier, float(score))
    return links


@dataclass(frozen=True)
class Wishes:
    """What the groups are made by, besides what is alike: see `assemble`."""

    conflicts: str
    cases: Cases
    prefer: Sequence[str]
    protect: Sequence[str]


def assemble(
    files: pd.DataFrame,
    pairs: pd.DataFrame,
    conflicts: str = "review",
    *,
    cases: Cases | None = None,
    prefer: Sequence[str] = (),
    protect: Sequence[str] = (),
) -> pd.DataFrame:
    """The table `duplicates` from readable files and the table `pairs`.

    `files` has path, content, label, size, mtime_ns, format, side (root of the area, pixels) and real_side (pixels).
    `conflicts` says what becomes of a group that stands under more than one label: `review` (nothing is removed by
    itself), or `majority` (where over half of its files stand under one label and the kept picture does too, the
    others are removed). `cases` is what the pixels say about which file was made from which (`provenance.find_cases`).
    `prefer` and `protect` name folders below the root: files of the first are kept before all other considerations,
    the first folder's before the next; of the second nothing is removed, copy or not.
    """
    import pandas as pd

    from curate.tables import DUPLICATES

    links = link(pairs)
    equal = pairs[pairs["tier"] == "pixel"]
    leads = dict(zip(equal["content_b"], equal["content_a"], strict=True))
    wishes = Wishes(conflicts, cases or {}, prefer, protect)
    copies: dict[str, list[Copy]] = defaultdict(list)
    several = files["content"].isin(links) | files["content"].duplicated(keep=False)
    ordered = files[several].sort_values("path")  # most files of a large folder are in no group
    for row in zip(*(ordered[name] for name in _READ), strict=True):
        fields = dict(zip(_READ, row, strict=True))
        content = fields["content"]
        alike = len(links.get(content, ()))
        copies[content].append(Copy(**fields, alike=alike, picture=leads.get(content, content)))
    # The picture that is alike to the most others first: around it the fewest of them are left for groups of their own.
    best_first = sorted(
        copies, key=lambda content: (-copies[content][0].alike, -copies[content][0].real_side, content)
    )
    free = dict.fromkeys(best_first)
    rows: list[dict[str, Any]] = []
    for content in list(free):
        if content not in free:
            continue
        around = [c for c in links.get(content, {}) if c in free]
        here = [copy for c in (content, *around) for copy in copies[c]]
        kept = best(here, wishes.cases, prefer).content
        mine = [kept, *(c for c in links.get(kept, {}) if c in free)]
        for c in mine:
            del free[c]
        members = [copy for c in mine for copy in copies[c]]
        if len(members) > 1:
            rows += _group(members, kept, links.get(kept, {}), wishes)
    return numbered(pd.DataFrame(rows, columns=list(DUPLICATES.columns)))


def numbered(duplicates: pd.DataFrame) -> pd.DataFrame:
    """The rows with their groups numbered from 0 in the order of the keepers' paths, sorted."""
    numbers = {name: number for number, name in enumerate(sorted(duplicates.keeper.unique()))}
    return duplicates.assign(group=duplicates.keeper.map(numbers)).sort_values(
        ["group", "path"], ignore_index=True
    )


def _group(
    members: list[Copy], kept: str, links: dict[str, tuple[str, float]], wishes: Wishes
) -> list[dict[str, Any]]:
    """Rows of the group that keeps the content `kept`; `links` are those of `kept`."""
    labels = Counter(copy.label for copy in members)
    leading, count = min(labels.items(), key=lambda item: (-item[1], item[0]))
    candidates = [copy for copy in members if copy.content == kept]
    settled = len(labels) == 1
    if wishes.conflicts == "majority" and not settled and 2 * count > len(members):
        under_leading = [copy for copy in candidates if copy.label == leading]
        settled, candidates = bool(under_leading), under_leading or candidates
    keeper = best(candidates, wishes.cases, wishes.prefer)
    rows = []
    for copy in members:
        tier, score = ("exact", 1.0) if copy.content == kept else links[copy.content]
        action, reason = _decide(copy, keeper, (tier, score), members, settled, wishes)
        rows.append(
            {
                "path": copy.path,
                "content": copy.content,
                "label": copy.label,
                "group": 0,
                "tier": tier,
                "score": score,
                "keeper": keeper.path,
                "conflict": len(labels) > 1,
                "action": action,
                "reason": reason,
            }
        )
    own = next(row for row in rows if row["path"] == keeper.path)
    own["tier"] = min((row["tier"] for row in rows if row is not own), key=TIERS.index)
    return rows


def _decide(
    copy: Copy, keeper: Copy, how: tuple[str, float], members: list[Copy], settled: bool, wishes: Wishes
) -> tuple[str, str]:
    """Action and reason for one file of a group, alike to the keeper by tier and score; `settled` where no conflict of
    labels stands open."""
    tier, score = how
    alike = _ALIKE[tier].format(keeper=keeper.path, score=score)
    if not settled:
        other = next((c for c in members if c.label != copy.label), keeper)
        picture = "" if copy is keeper else f"{alike}; "
        return (
            "review",
            f"{picture}the same picture stands under '{other.label}' as {other.path}: one label is wrong",
        )
    if copy is keeper:
        return (
            "keep",
            f"kept for {len(members) - 1} cop{'y' if len(members) == 2 else 'ies'} of the same picture",
        )
    protected = next((folder for folder in wishes.protect if within(copy.path, folder)), None)
    if protected is not None:
        return "keep", f"{alike}; kept all the same: {protected or 'the whole folder'} is protected"
    if copy.label != keeper.label:
        return "remove", f"{alike}; most copies stand under '{keeper.label}'"
    return "remove", f"{alike}; {why(keeper, copy, members, wishes.cases, wishes.prefer)}"


def all_pairs(duplicates: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Every two files of one group: a, b (paths, a < b), tier, score, conflict.

    Tier and score are those found between the two; where they were not compared, the weaker of their two links to
    the keeper.
    """
    import pandas as pd

    links = link(pairs)
    rows = []
    for _, group in duplicates.groupby("group", sort=True):
        members = sorted(
            zip(group.path, group.content, group.tier, group.score, group.path == group.keeper, strict=True)
        )
        for (a, content_a, *link_a), (b, content_b, *link_b) in itertools.combinations(members, 2):
            direct = ("exact", 1.0) if content_a == content_b else links.get(content_a, {}).get(content_b)
            known = [(tier, float(score)) for tier, score, keeper in (link_a, link_b) if not keeper]
            tier, score = direct or max(known, key=lambda known: (TIERS.index(known[0]), -known[1]))
            rows.append((a, b, tier, score, bool(group.conflict.iloc[0])))
    return pd.DataFrame(rows, columns=["a", "b", "tier", "score", "conflict"])
