"""Resolves accounts to operators as of any instant, from an index that is built once over the whole market."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import duckdb
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from membergate.domain.errors import BadInputError
from membergate.learning.identity.operators import Hub, Link, Operator, OperatorTable, operator_id_of
from membergate.learning.identity.rolling import Event, LinkChange
from membergate.learning.identity.rules import DEFAULT_RULES, LinkRules
from membergate.learning.identity.sightings import Sightings, read_sightings
from membergate.learning.identity.spells import Ints, LinkSpells, SharedTokens, link_spells, shared_tokens
from membergate.learning.identity.together import held_together

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 6
"""Characters of a token that an explanation shows."""


class LinkIndex:
    """Which accounts are linked, from when until when, and by what.

    A token counts for two accounts from the later of their two sightings on, while both rows are visible and while it
    is no hub. An operator as of t is a connected component of the links of t. Rows that become visible after t change
    no answer as of t. Operator ids are stable: see `operators_as_of`.

    Build it with `LinkIndex.build`.
    """

    def __init__(self, sightings: Sightings, rules: LinkRules) -> None:
        shared = held_together(shared_tokens(sightings), sightings, rules)
        spells = link_spells(shared, rules)
        self._rules = rules
        self._sightings = sightings
        self._spells = spells
        self._evidence: SharedTokens = shared.only(np.isin(shared.pair, spells.pair))
        self._accounts = len(sightings.account_ids)
        self._code_of = {account_id: code for code, account_id in enumerate(sightings.account_ids)}
        self._neighbours = _Neighbours(spells, self._accounts)

    @staticmethod
    def build(connection: duckdb.DuckDBPyConnection, rules: LinkRules = DEFAULT_RULES) -> LinkIndex:
        """Read the market and index its links.

        Parameters
        ----------
        connection
            Holds views named as the canonical tables, with `visible_at` and `superseded_at`. Tables and columns that do
            not exist link nobody.
        rules
            What links, how strongly, and the hub caps.

        Raises
        ------
        BadInputError
            If a table that is read has no `account_id` or no `visible_at`.
        """
        return LinkIndex(read_sightings(connection, rules), rules)

    @property
    def hubs(self) -> tuple[Hub, ...]:
        """The tokens that most accounts share, at most twenty: too public to link anybody, and worth a look."""
        return tuple(
            Hub(self._rules.every[rule].kind, _shown(token, place), accounts)
            for rule, token, place, accounts in self._sightings.hubs
        )

    def operators_as_of(self, as_of: datetime) -> dict[str, str]:
        """Resolve every account that was visible at an instant.

        Parameters
        ----------
        as_of
            Aware instant.

        Returns
        -------
        dict
            Account id to operator id. The id names the founder, the member that was visible first, so it does not
            depend on row order, and new accounts joining do not change it. It changes in two cases only: two operators
            turn out to be one (the younger takes the id of the older), or links end (a token becomes a hub, a device
            is no longer a main device, a row is replaced by a version without the token) and a part is cut off from the
            founder.
        """
        instant = _microseconds(as_of)
        visible = int(np.searchsorted(self._sightings.first_visible_at, instant, side="right"))
        holds = (self._spells.since <= instant) & (instant < self._spells.until)
        component = _components(self._spells.pair[holds], self._accounts)[:visible]
        # Codes follow first visibility, so the first code of a component is its founder.
        _, founder, member_of = np.unique(component, return_index=True, return_inverse=True)
        names = [operator_id_of(account_id) for account_id in self._sightings.account_ids[founder]]
        accounts = self._sightings.account_ids[:visible]
        return {account_id: names[part] for account_id, part in zip(accounts, member_of, strict=True)}

    def changes(self, since: datetime | None, until: datetime) -> list[LinkChange]:
        """List what happened to accounts and links in (since, until], in order, for `RollingOperators` to follow.

        Parameters
        ----------
        since, until
            Aware instants; None begins with the first account.
        """
        after, upto = -(2**63) if since is None else _microseconds(since), _microseconds(until)
        ids, visible, spells = self._sightings.account_ids, self._sightings.first_visible_at, self._spells
        found = [(int(visible[c]), 0, int(c), -1) for c in np.flatnonzero((visible > after) & (visible <= upto))]
        for event, instants in enumerate((spells.until, spells.since), start=1):
            for row in np.flatnonzero((instants > after) & (instants <= upto)):
                smaller, larger = divmod(int(spells.pair[row]), self._accounts)
                found.append((int(instants[row]), event, smaller, larger))
        events = (Event.SEEN, Event.WITHDRAWN, Event.LINKED)
        return [
            LinkChange(_instant(at), events[kind], ids[a], "" if b < 0 else ids[b]) for at, kind, a, b in sorted(found)
        ]

    def operator_of(self, account_id: str, as_of: datetime) -> Operator:
        """Resolve one account from its own neighbourhood, at a cost that does not grow with the market.

        Parameters
        ----------
        account_id
            Any id; an account that nobody has seen is an operator of its own.
        as_of
            Aware instant.
        """
        instant = _microseconds(as_of)
        code = self._code_of.get(account_id)
        if code is None:
            return Operator(operator_id_of(account_id), (account_id,), ())
        founder = self._neighbours.closure(code, instant)[0]
        reached_from = self._neighbours.reach(founder, instant)
        members = sorted(reached_from)
        links = [
            link
            for member, origin in reached_from.items()
            if member != founder
            for link in self._links_between(origin, member, instant)
        ]
        ids = self._sightings.account_ids
        return Operator(operator_id_of(ids[founder]), tuple(ids[member] for member in members), tuple(links))

    def members_of(self, account_id: str, as_of: datetime) -> tuple[str, ...]:
        """Give the accounts of an account's operator, as `operator_of` does, without the links; the founder first."""
        code = self._code_of.get(account_id)
        if code is None:
            return (account_id,)
        ids = self._sightings.account_ids
        return tuple(str(ids[member]) for member in self._neighbours.closure(code, _microseconds(as_of)))

    def resolve(self, account_ids: ArrayLike | Sequence[str], as_of: ArrayLike) -> OperatorTable:
        """Resolve n accounts, each as of its own instant.

        Parameters
        ----------
        account_ids
            (n,) ids; unknown ones are operators of their own.
        as_of
            (n,) datetime64, in UTC.

        Raises
        ------
        BadInputError
            If the lengths differ or an instant is missing.
        """
        ids = np.asarray(account_ids, dtype=object)
        instants = np.asarray(as_of, dtype="datetime64[us]")
        if ids.shape != instants.shape or ids.ndim != 1 or np.isnat(instants).any():
            raise BadInputError("accounts to resolve need one instant each", allowed="two arrays of one length, no NaT")
        codes = np.fromiter((self._code_of.get(account_id, -1) for account_id in ids), np.int64, count=len(ids))
        members = self._neighbours.closures(codes, instants.astype(np.int64))
        sizes = np.fromiter((len(m) for m in members), np.int64, count=len(ids))
        flat = np.fromiter((code for m in members for code in m), np.int64, count=int(sizes.sum()))
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        member_ids = self._sightings.account_ids[flat] if self._accounts else np.empty(len(flat), dtype=object)
        unknown = np.flatnonzero(codes < 0)
        member_ids[offsets[unknown]] = ids[unknown]
        founders, row_founder = np.unique(member_ids[offsets[:-1]].astype(object), return_inverse=True)
        names = np.array([operator_id_of(account_id) for account_id in founders], dtype=object)
        return OperatorTable(names[row_founder] if len(ids) else names, sizes, member_ids, offsets)

    def explain(self, account_a: str, account_b: str, as_of: datetime) -> tuple[Link, ...]:
        """Show why two accounts are one operator: the links along a shortest path between them.

        Parameters
        ----------
        account_a, account_b
            Account ids.
        as_of
            Aware instant.

        Returns
        -------
        tuple
            The links of the first step of the path, then of the next, each step with all kinds that the two accounts
            share. Empty if the two are not one operator, or are one account.
        """
        start, goal = self._code_of.get(account_a), self._code_of.get(account_b)
        if start is None or goal is None or start == goal:
            return ()
        instant = _microseconds(as_of)
        reached_from = self._neighbours.reach(start, instant)
        if goal not in reached_from:
            return ()
        path = [goal]
        while path[-1] != start:
            path.append(reached_from[path[-1]])
        path.reverse()
        return tuple(link for a, b in pairwise(path) for link in self._links_between(a, b, instant))

    def _links_between(self, a: int, b: int, instant: int) -> list[Link]:
        """Give one link per kind that two accounts share, by the token shared longest; the strongest kind first."""
        pair = min(a, b) * self._accounts + max(a, b)
        first, last = np.searchsorted(self._evidence.pair, [pair, pair + 1])
        entries = [
            entry
            for entry in range(int(first), int(last))
            if self._evidence.since[entry] <= instant < self._evidence.until[entry]
        ]
        by_rule: dict[int, list[int]] = {}
        for entry in entries:
            by_rule.setdefault(int(self._evidence.rule[entry]), []).append(entry)
        links = [self._link(a, b, rule, shared) for rule, shared in by_rule.items()]
        return sorted(links, key=lambda link: (-link.weight, link.kind))

    def _link(self, a: int, b: int, rule: int, entries: list[int]) -> Link:
        sightings, evidence = self._sightings, self._evidence
        entry = min(entries, key=lambda e: (evidence.since[e], self._token_text(e)))
        left, right = int(evidence.left[entry]), int(evidence.right[entry])
        of_a, of_b = (left, right) if sightings.account[left] == a else (right, left)
        tokens = {int(sightings.token[evidence.left[e]]) for e in entries}
        return Link(
            kind=self._rules.every[rule].kind,
            token=self._token_text(entry),
            weight=self._rules.every[rule].weight,
            account_ids=(sightings.account_ids[a], sightings.account_ids[b]),
            seen_at=(_instant(sightings.seen_at[of_a]), _instant(sightings.seen_at[of_b])),
            since=_instant(evidence.since[entry]),
            shared_tokens=len(tokens),
        )

    def _token_text(self, entry: int) -> str:
        token = self._sightings.token[self._evidence.left[entry]]
        text, place = self._sightings.token_text[token], self._sightings.place_text[token]
        return _shown(text, place)


class _Neighbours:
    """Adjacency of the link spells, both ways, each account's neighbours in code order."""

    def __init__(self, spells: LinkSpells, accounts: int) -> None:
        smaller, larger = np.divmod(spells.pair, max(accounts, 1))
        account, other = np.concatenate([smaller, larger]), np.concatenate([larger, smaller])
        order = np.lexsort((other, account))
        self._other = other[order]
        self._since = np.tile(spells.since, 2)[order]
        self._until = np.tile(spells.until, 2)[order]
        self._first = np.searchsorted(account[order], np.arange(accounts + 1))
        self._component = _components(spells.pair, accounts)
        self._change_component, self._change = _changes(spells, self._component, accounts)

    def reach(self, start: int, instant: int) -> dict[int, int]:
        """Give each account that is connected to `start`, in order of distance, with the one it was reached from."""
        reached_from = {start: start}
        frontier = deque([start])
        while frontier:
            account = frontier.popleft()
            span = slice(self._first[account], self._first[account + 1])
            holds = (self._since[span] <= instant) & (instant < self._until[span])
            for other in self._other[span][holds].tolist():
                if other not in reached_from:
                    reached_from[other] = account
                    frontier.append(other)
        return reached_from

    def closure(self, start: int, instant: int) -> tuple[int, ...]:
        """Give the operator's accounts in code order, the founder first."""
        if self._first[start] == self._first[start + 1]:
            return (start,)
        return tuple(sorted(self.reach(start, instant)))

    def closures(self, codes: Ints, instants: Ints) -> list[tuple[int, ...]]:
        """Give the closure of each row; a code below 0 stands for itself.

        Accounts that are ever connected form a group, whose links change at known instants only. Rows are taken in
        order of group and time, and between two changes of its group a closure is found once for all its members.
        """
        closures: list[tuple[int, ...]] = [(code,) if code >= 0 else (0,) for code in codes.tolist()]
        if not len(self._other):
            return closures
        linked = np.flatnonzero((codes >= 0) & (np.diff(self._first)[codes] > 0))
        group = self._component[codes[linked]]
        epoch = _epochs(group, instants[linked], self._change_component, self._change)
        order = np.lexsort((epoch, group))
        known: dict[int, tuple[int, ...]] = {}
        present = (-1, -1)
        for place in order.tolist():
            row = int(linked[place])
            if present != (group[place], epoch[place]):
                present, known = (group[place], epoch[place]), {}
            code = int(codes[row])
            if code not in known:
                found = self.closure(code, int(instants[row]))
                known |= dict.fromkeys(found, found)
            closures[row] = known[code]
        return closures


def _components(pair: Ints, accounts: int) -> NDArray[np.int32]:
    if not accounts:
        return np.empty(0, dtype=np.int32)
    smaller, larger = np.divmod(pair, accounts)
    graph = coo_array((np.ones(len(pair), dtype=np.int8), (smaller, larger)), shape=(accounts, accounts))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels


def _changes(spells: LinkSpells, component: NDArray[np.int32], accounts: int) -> tuple[NDArray[np.int32], Ints]:
    """List when the links of each component change, ordered by component, then time."""
    group = np.tile(component[spells.pair // max(accounts, 1)], 2)
    instant = np.concatenate([spells.since, spells.until])
    order = np.lexsort((instant, group))
    return group[order], instant[order]


def _epochs(group: NDArray[np.int32], instant: Ints, change_group: NDArray[np.int32], change: Ints) -> Ints:
    """Count, for each row, the changes up to its instant in its group and the groups before it."""
    groups = np.concatenate([change_group, group])
    instants = np.concatenate([change, instant])
    is_row = np.concatenate([np.zeros(len(change), dtype=bool), np.ones(len(group), dtype=bool)])
    order = np.lexsort((is_row, instants, groups))
    passed = np.cumsum(~is_row[order], dtype=np.int64)
    epoch = np.empty(len(group), dtype=np.int64)
    rows = is_row[order]
    epoch[order[rows] - len(change)] = passed[rows]
    return epoch


def _microseconds(instant: datetime) -> int:
    if instant.tzinfo is None:
        raise BadInputError("an instant must know its time zone", allowed="aware datetimes")
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=int(microseconds))


def _shown(text: str, place: str) -> str:
    return _shortened(text) if place in {"", text} else f"{_shortened(text)} at {_shortened(place)}"


def _shortened(token: str) -> str:
    return token if len(token) <= _SHOWN else token[:_SHOWN] + "…"
