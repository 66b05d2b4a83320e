"""Belief propagation on soft links: what the labels that were learned from say of whoever shares things with them.

The graph is that of the instant at which training ended, of all accounts then known: belief goes from whoever has a
label to the things that it used, from there to whoever else used them, and so on. An applicant takes up the beliefs of
what it used until it applied: nothing is later than its application, and no other applicant has a say.

References
----------
Gatterbauer, Günnemann, Koutra and Faloutsos (2015), Linearized and single-pass belief propagation, PVLDB 8(5), 581-592,
doi:10.14778/2735479.2735490.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from membergate.learning.features import Spine
from membergate.learning.features.links import SoftLinks, soft_links
from membergate.operations.history import History
from membergate.operations.learn import Lesson
from membergate.verification.sample import Floats

MOST_ACCOUNTS = 100
"""What more accounts share is a crowd and links nobody."""
ROUNDS = 50
"""Each round moves beliefs by at most half of what the one before it did."""


def beliefs_about(spine: Spine, history: History, until: datetime, lesson: Lesson) -> Floats:
    """Give the belief that each applicant is a merchant, shape (n,); 0 where nothing speaks.

    Parameters
    ----------
    spine
        The applicants, none earlier than the graph.
    history
        The market.
    until
        The instant of the graph.
    lesson
        Who is known.
    """
    known = history.accounts(until)
    used, asked = (soft_links(history.connection, who) for who in (known, spine))
    things, sharers = np.unique(used.things, return_counts=True)
    links_somebody = (sharers > 1) & (sharers <= MOST_ACCOUNTS)
    things, weight = things[links_somebody], 1.0 / np.log(2.0 + sharers[links_somebody])
    if not len(things):
        return np.zeros(len(spine))
    links, applicants = (
        _weighted(found, rows, things, weight) for found, rows in ((used, len(known)), (asked, len(spine)))
    )
    believed, coupling = propagated(links, _seeds(known, lesson))
    echo = coupling**2 * applicants.power(2).sum(axis=1)
    return np.asarray(coupling * (applicants @ believed) / (1.0 + echo), dtype=np.float64)


def propagated(links: csr_array, seeds: Floats) -> tuple[Floats, float]:
    """Let beliefs settle at b = seeds + h A b - h^2 D b, with A the links both ways and D its squares' sums by node.

    They settle if h |A| + h^2 |D| < 1, and |A| is at most the root of the largest sum of an account times the largest
    of a thing (Schur's test). The coupling h is half of the largest that this allows.

    Parameters
    ----------
    links
        What each thing weighs for each account that used it, shape (accounts, things).
    seeds
        What is known of the accounts, shape (accounts,): above 0 merchants, below 0 genuine, 0 unknown.

    Returns
    -------
    beliefs, coupling
        Those of the things, shape (things,), and h.
    """
    of_accounts, of_things = (links.power(2).sum(axis=side) for side in (1, 0))
    norm = np.sqrt(links.sum(axis=1).max() * links.sum(axis=0).max())
    square = max(of_accounts.max(), of_things.max())
    coupling = (np.sqrt(norm**2 + 4 * square) - norm) / (4 * square)
    accounts, things = seeds, np.zeros(links.shape[1])
    for _ in range(ROUNDS):
        accounts, things = (
            seeds + coupling * (links @ things) - coupling**2 * of_accounts * accounts,
            coupling * (links.T @ accounts) - coupling**2 * of_things * things,
        )
    return things, float(coupling)


def _weighted(found: SoftLinks, rows: int, things: NDArray[np.uint64], weight: Floats) -> csr_array:
    """Lay edges out as a matrix of rows and things; what is no thing of the graph is left out."""
    column = np.minimum(np.searchsorted(things, found.things), len(things) - 1)
    there = things[column] == found.things
    return csr_array((weight[column[there]], (found.rows[there], column[there])), shape=(rows, len(things)))


def _seeds(known: Spine, lesson: Lesson) -> Floats:
    """Say how far each labelled account's label lies from the mean label; 0 of everybody else."""
    taught = lesson.labels.is_labelled
    is_merchant = lesson.labels.is_merchant[taught]
    surplus = is_merchant - is_merchant.mean()
    of_account = dict(zip(lesson.table.spine.account_ids[taught].tolist(), surplus.tolist(), strict=True))
    return np.array([of_account.get(account, 0.0) for account in known.account_ids.tolist()])
