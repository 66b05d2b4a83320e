"""The door for programs: decisions over HTTP, each recorded before it is answered."""

from membergate.service.access import Gatekeeper
from membergate.service.app import create_app
from membergate.service.desk import AdmissionDesk, OrderDesk
from membergate.service.desks import desks_of
from membergate.service.door import Desks, Door
from membergate.service.identity import IdentityProvider, ProviderSettings, provider_of
from membergate.service.kafka import KafkaSettings, properties
from membergate.service.serving import serve, serve_workspace
from membergate.service.settings import ServiceSettings

__all__ = [
    "AdmissionDesk",
    "Desks",
    "Door",
    "Gatekeeper",
    "IdentityProvider",
    "KafkaSettings",
    "OrderDesk",
    "ProviderSettings",
    "ServiceSettings",
    "create_app",
    "desks_of",
    "properties",
    "provider_of",
    "serve",
    "serve_workspace",
]
