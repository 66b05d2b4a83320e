"""The door for programs: decisions over HTTP, each recorded before it is answered."""

from membergate.service.app import create_app
from membergate.service.desk import AdmissionDesk
from membergate.service.serving import serve
from membergate.service.settings import ServiceSettings

__all__ = ["AdmissionDesk", "ServiceSettings", "create_app", "serve"]
