"""The client: a shop's programs ask the service through it. It needs the standard library and msgspec alone."""

from membergate.client.answers import Applied, EventResult, Line, LineResult, OrderResult, Outcome
from membergate.client.asking import Client
from membergate.client.errors import ConflictError, NotFoundError, RefusedByServiceError, ServiceError, UnavailableError
from membergate.client.transport import Answer, HttpTransport, Transport

__all__ = [
    "Answer",
    "Applied",
    "Client",
    "ConflictError",
    "EventResult",
    "HttpTransport",
    "Line",
    "LineResult",
    "NotFoundError",
    "OrderResult",
    "Outcome",
    "RefusedByServiceError",
    "ServiceError",
    "Transport",
    "UnavailableError",
]
