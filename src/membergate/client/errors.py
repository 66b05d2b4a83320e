"""What can go wrong between a shop and the service."""

from __future__ import annotations


class ServiceError(Exception):
    """The root of every error of the client.

    Parameters
    ----------
    what
        What went wrong.
    status
        The response's status; 0 where there was none.
    code
        The service's stable code, such as `key_reused`; empty where there was none.
    where, allowed
        What is concerned, and what would have been accepted.
    """

    def __init__(self, what: str, *, status: int = 0, code: str = "", where: str = "", allowed: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.status = status
        self.code = code
        self.where = where
        self.allowed = allowed
        self.retry_after_s = 0.0
        """How long the service asks to wait before asking again, in seconds."""

    def __str__(self) -> str:
        details = [f"{name}: {text}" for name, text in (("where", self.where), ("allowed", self.allowed)) if text]
        return "; ".join([self.what, *details])


class UnavailableError(ServiceError):
    """The service did not answer, however often it was asked. The question may be asked again later."""


class NotFoundError(ServiceError):
    """Nobody knows the account, application, order or decision."""


class ConflictError(ServiceError):
    """The key or order stands for another question, or a step is not open."""


class RefusedByServiceError(ServiceError):
    """The service does not take the question: not allowed, or not well formed."""
