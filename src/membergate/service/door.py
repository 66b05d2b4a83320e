"""The door: a question becomes a decision, the decision goes on record, and only then is it answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock

import structlog

from membergate.domain.decision import Decision
from membergate.domain.errors import BadInputError
from membergate.domain.instants import Clock, format_instant, parse_instant
from membergate.operations.admission import AdmissionRequest
from membergate.service.desk import AdmissionDesk
from membergate.service.documents import AdmissionQuestion
from membergate.service.settings import ServiceSettings
from membergate.store import OperationalRecord, RecordConflictError

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_log = structlog.get_logger("membergate.service")


class Door:
    """Asks the desk and keeps the record. Its methods block, and any thread may call them.

    Parameters
    ----------
    desk
        Decides; asked by one thread at a time.
    store
        Where decisions go on record.
    clock
        Our own clock, against which a client's instants are held.
    settings
        The door's limits.
    on_recorded
        Told of every decision once it is on record, before it is answered.
    """

    def __init__(
        self,
        desk: AdmissionDesk,
        store: OperationalRecord,
        clock: Clock,
        settings: ServiceSettings,
        on_recorded: Callable[[Decision], object] | None = None,
    ) -> None:
        self._desk = desk
        self._desk_lock = Lock()
        self._store = store
        self._clock = clock
        self._settings = settings
        self._on_recorded = on_recorded

    def decide(self, question: AdmissionQuestion) -> Decision:
        """Decide a question, put the decision on record, and give it back as it stands there.

        A question that was answered before under the same versions keeps its first answer, even if what was visible as
        of its instant has changed since: what was acknowledged stands until a new model or policy decides.

        Raises
        ------
        BadInputError
            If the instant cannot be read, or lies in the future.
        UnknownSubjectError
            If nobody knows the account or the application.
        WorkspaceError
            If the decision cannot be put on record. None was given then.
        """
        request = AdmissionRequest(question.account_id, question.application_id, self._instant(question.as_of))
        with self._desk_lock:
            decision = self._desk.decide(request, self._clock)
        try:
            is_new = self._store.record([decision]) == 1
        except RecordConflictError as conflict:
            _log.warning("first_answer_stands", **conflict.as_record())
            is_new = False
        kept = decision if is_new else self._store.decision(decision.decision_id)
        if self._on_recorded is not None:
            self._on_recorded(kept)
        return kept

    def decision(self, decision_id: str) -> Decision:
        """Read a decision again.

        Raises
        ------
        UnknownSubjectError
            If there is none with this id.
        """
        return self._store.decision(decision_id)

    def readiness(self) -> tuple[str, str]:
        """Give the model's and the policy's version, once desk and record have shown that they answer.

        Raises
        ------
        MembergateError
            If one of them does not.
        """
        self._store.check()
        return self._desk.model_version, self._desk.policy_version

    def _instant(self, text: str | None) -> datetime | None:
        if text is None:
            return None
        latest = self._clock() + self._settings.clock_tolerance
        try:
            instant = parse_instant(text)
        except (BadInputError, OverflowError) as error:  # an offset can carry year 1 or 9999 over the calendar's edge
            allowed = error.allowed if isinstance(error, BadInputError) else "years from 1970"
            raise BadInputError(f"cannot read {text!r} as an instant", where="body.as_of", allowed=allowed) from None
        if not _EARLIEST <= instant <= latest:
            raise BadInputError(
                f"nothing can be judged as of {text!r}",
                where="body.as_of",
                allowed=f"from {format_instant(_EARLIEST)} to the present, {format_instant(latest)}",
            )
        return instant
