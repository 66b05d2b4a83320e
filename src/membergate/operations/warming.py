"""Looking up, ahead of time and beside the door, whoever is likely to come: so that a promotion finds them at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from membergate.domain.instants import Clock
from membergate.operations.admission import AdmissionDesk
from membergate.operations.witnessing import MOST_KEPT, spine_of, witness

_AT_ONCE = 200
_RECENT = timedelta(days=7)


def warm_up(desk: AdmissionDesk, ahead: Sequence[str], clock: Clock, is_over: Callable[[], bool]) -> int:
    """Compute testimony and keep it with the desk: applications of the last days, who came lately, members, the rest.

    It works on a connection of its own, so that the desk answers meanwhile.

    Parameters
    ----------
    desk
        Whose memory is filled.
    ahead
        Accounts that came lately.
    clock
        Gives the present.
    is_over
        Tells when to give up.

    Returns
    -------
    int
        For how many accounts and applications testimony was computed.
    """
    history, now, done = desk.history.apart(threads=1), clock(), 0
    recent: list[tuple[str, datetime]] = []
    for application in desk.history.roll.applicants():
        if application.submitted_at < now - _RECENT or len(recent) >= MOST_KEPT:
            break
        if desk.kept.exactly(application.account_id, application.submitted_at) is None:
            recent.append((application.account_id, application.submitted_at))
    likely = islice(_likely(desk, ahead, now), MOST_KEPT)
    present = ((account_id, now) for account_id in likely if desk.kept.lately(account_id, now) is None)
    for is_present, asked in ((False, iter(recent)), (True, present)):
        while not is_over() and (some := list(islice(asked, _AT_ONCE))):
            for one in witness(history, desk.model, desk.model_version, spine_of(some)):
                desk.kept.keep(one, is_present=is_present)
            done += len(some)
    return done


def _likely(desk: AdmissionDesk, ahead: Sequence[str], now: datetime) -> Iterator[str]:
    """Name accounts once each, those most likely to come first."""
    seen: set[str] = set()
    for some in (ahead, desk.ledger.accounts(now), desk.history.roll.account_ids):
        for account_id in some:
            if account_id not in seen and desk.history.roll.has_account(account_id):
                seen.add(account_id)
                yield account_id
