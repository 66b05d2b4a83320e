"""The operational record on SQLite or PostgreSQL: decisions, risk lists, policies, caps, velocity; a Parquet form."""

from membergate.store.auditing import Audited, AuditRecord, Head
from membergate.store.caps import CapLedger
from membergate.store.codec import decision_from_record, decision_to_record
from membergate.store.columns import EvidenceColumns
from membergate.store.errors import RecordConflictError
from membergate.store.inbox import EventInbox, InboxEvent
from membergate.store.keys import ApiKey, ApiKeyRecord
from membergate.store.let_in import LetIn
from membergate.store.listing import RiskListRecord
from membergate.store.memberships import MembershipRecord
from membergate.store.opening import open_store
from membergate.store.ordering import AskedOrder, JudgedOrder, OrderRecord, Settled
from membergate.store.outbox import TOLD, Message, Outbox, Webhook
from membergate.store.policies import PolicyEvent, PolicyRecord, PolicyState
from membergate.store.questions import KeyReusedError, Question, QuestionRecord
from membergate.store.record import OperationalRecord
from membergate.store.recording import Kept, Recorder
from membergate.store.retention import Erased, Retention
from membergate.store.tabular import decisions_from_table, decisions_to_table, read_decisions, write_decisions
from membergate.store.velocity import VelocityLog
from membergate.store.velocity_redis import RedisVelocity

__all__ = [
    "TOLD",
    "ApiKey",
    "ApiKeyRecord",
    "AskedOrder",
    "AuditRecord",
    "Audited",
    "CapLedger",
    "Erased",
    "EventInbox",
    "EvidenceColumns",
    "Head",
    "InboxEvent",
    "JudgedOrder",
    "Kept",
    "KeyReusedError",
    "LetIn",
    "MembershipRecord",
    "Message",
    "OperationalRecord",
    "OrderRecord",
    "Outbox",
    "PolicyEvent",
    "PolicyRecord",
    "PolicyState",
    "Question",
    "QuestionRecord",
    "RecordConflictError",
    "Recorder",
    "RedisVelocity",
    "Retention",
    "RiskListRecord",
    "Settled",
    "VelocityLog",
    "Webhook",
    "decision_from_record",
    "decision_to_record",
    "decisions_from_table",
    "decisions_to_table",
    "open_store",
    "read_decisions",
    "write_decisions",
]
