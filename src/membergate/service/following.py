"""What runs beside the door: following lists and counters as others change them, and keeping testimony at hand."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

import structlog

from membergate.domain.errors import MembergateError
from membergate.service.door import Desks, Door

_log = structlog.get_logger("membergate.service")
_LOOKS_EVERY_S = 0.25


class Follower:
    """Looks every quarter of a second at what other processes changed, and once at each new pair of desks to warm them.

    Parameters
    ----------
    door
        Whose desks are followed and warmed; they may be exchanged meanwhile.
    every_s
        How often to look, in seconds.
    """

    def __init__(self, door: Door, *, every_s: float = _LOOKS_EVERY_S) -> None:
        self._door = door
        self._every_s = every_s
        self._ended = Event()
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Begin to follow."""
        for work in (self._follow, self._warm):
            thread = Thread(target=work, name=f"membergate{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop following; waits for a look under way."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(self._every_s):
            follow = self._door.desks.follow
            if follow is not None:
                _guarded("follow_failed", follow)

    def _warm(self) -> None:
        warmed: Desks | None = None
        while not self._ended.wait(self._every_s):
            desks = self._door.desks
            if desks is warmed or desks.warm is None:
                continue
            warmed = desks
            _guarded("warm_failed", lambda desks=desks: _warm(desks, lambda: self._is_over(desks)))  # type: ignore[misc]  # bound now

    def _is_over(self, desks: Desks) -> bool:
        return self._ended.is_set() or self._door.desks is not desks


def _warm(desks: Desks, is_over: Callable[[], bool]) -> None:
    if desks.warm is not None:
        _log.info("warmed", accounts=desks.warm(is_over))


def _guarded(event: str, work: Callable[[], object]) -> None:
    """Go on whatever happens: the door answers without it, only slower or a moment behind."""
    try:
        work()
    except MembergateError as error:
        _log.error(event, **error.as_record())
    except Exception as error:  # noqa: BLE001  # as said above
        _log.error(event, error=f"{type(error).__name__}: {error}")
