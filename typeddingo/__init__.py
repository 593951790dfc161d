"""The task queue for typed Python: the annotations are the contract. Everything a program needs is here by name.

Names are loaded when they are first asked for, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typeddingo.app import App
    from typeddingo.backend import Backend, Reporter, ReportStream, Store
    from typeddingo.backends.local import LocalBackend
    from typeddingo.broker import (
        Broker,
        Confirmation,
        Consumer,
        Delivery,
        Listener,
        NamedBroker,
        NamedConsumer,
        Parcel,
        Producer,
        Receipt,
    )
    from typeddingo.brokers.local import LocalBroker
    from typeddingo.config import Ack, Config, Limits
    from typeddingo.context import Context, current_context
    from typeddingo.converter import Converter, Tree, ValueConverter
    from typeddingo.errors import (
        ArgumentError,
        BrokerBlocked,
        ConfigError,
        ConnectionLost,
        DecodeError,
        ErrorCode,
        HeaderError,
        LifespanError,
        LimitError,
        Misfit,
        NoHandler,
        PayloadTooLarge,
        QueueFull,
        ReportsIgnored,
        ResultClosed,
        ResultError,
        ResultExpired,
        ResultTimeout,
        Retry,
        SendError,
        SendUnknown,
        SignatureError,
        TaskFailed,
        TimeLimitExceeded,
        TypedDingoError,
        Unroutable,
        Untrusted,
        WireError,
    )
    from typeddingo.events import Event, EventCode, EventLevel, EventSource, Subscription
    from typeddingo.gathering import gather
    from typeddingo.header import Header, compose_bytes, decompose_bytes
    from typeddingo.ids import IDMaker, IDMakerID, SeqIDMaker, UUIDMaker
    from typeddingo.invoker import GenericInvoker, InvokeError, Invoker, LazyInvoker
    from typeddingo.marshaller import Codec, Marshaller, MarshallerID
    from typeddingo.marshallers.custom import CustomMarshaller
    from typeddingo.marshallers.json import JSONMarshaller
    from typeddingo.marshallers.json_safe import JSONSafeMarshaller
    from typeddingo.marshallers.msgpack import MsgpackMarshaller
    from typeddingo.marshallers.signed import SignedMarshaller
    from typeddingo.marshallers.wrapped import FrameKind, WrappedMarshaller
    from typeddingo.message import Failure, Meta, Report, Status, TaskMessage
    from typeddingo.middleware import Middleware, Outgoing
    from typeddingo.option import Option
    from typeddingo.pipeline import Pipeline, each
    from typeddingo.reports import Reports
    from typeddingo.result import Result
    from typeddingo.role import Role
    from typeddingo.scheduling import Schedulable, Schedule
    from typeddingo.task import AsyncTask, SyncTask, Task
    from typeddingo.tasks import Tasks
    from typeddingo.timetable import Look, ScheduleKey, Seat, Timetable
else:
    _MODULES = {
        "app": ("App",),
        "backend": (
            "Backend",
            "Reporter",
            "ReportStream",
            "Store",
        ),
        "backends.local": ("LocalBackend",),
        "broker": (
            "Broker",
            "Confirmation",
            "Consumer",
            "Delivery",
            "Listener",
            "NamedBroker",
            "NamedConsumer",
            "Parcel",
            "Producer",
            "Receipt",
        ),
        "brokers.local": ("LocalBroker",),
        "config": (
            "Ack",
            "Config",
            "Limits",
        ),
        "context": (
            "Context",
            "current_context",
        ),
        "converter": (
            "Converter",
            "Tree",
            "ValueConverter",
        ),
        "errors": (
            "ArgumentError",
            "BrokerBlocked",
            "ConfigError",
            "ConnectionLost",
            "DecodeError",
            "ErrorCode",
            "HeaderError",
            "LifespanError",
            "LimitError",
            "Misfit",
            "NoHandler",
            "PayloadTooLarge",
            "QueueFull",
            "ReportsIgnored",
            "ResultClosed",
            "ResultError",
            "ResultExpired",
            "ResultTimeout",
            "SendError",
            "SendUnknown",
            "SignatureError",
            "TaskFailed",
            "Retry",
            "TimeLimitExceeded",
            "TypedDingoError",
            "Unroutable",
            "Untrusted",
            "WireError",
        ),
        "events": (
            "Event",
            "EventCode",
            "EventLevel",
            "EventSource",
            "Subscription",
        ),
        "gathering": ("gather",),
        "header": (
            "Header",
            "compose_bytes",
            "decompose_bytes",
        ),
        "ids": (
            "IDMaker",
            "IDMakerID",
            "SeqIDMaker",
            "UUIDMaker",
        ),
        "invoker": (
            "GenericInvoker",
            "InvokeError",
            "Invoker",
            "LazyInvoker",
        ),
        "marshaller": (
            "Codec",
            "Marshaller",
            "MarshallerID",
        ),
        "marshallers.custom": ("CustomMarshaller",),
        "marshallers.json": ("JSONMarshaller",),
        "marshallers.json_safe": ("JSONSafeMarshaller",),
        "marshallers.msgpack": ("MsgpackMarshaller",),
        "marshallers.signed": ("SignedMarshaller",),
        "marshallers.wrapped": (
            "FrameKind",
            "WrappedMarshaller",
        ),
        "message": (
            "Failure",
            "Meta",
            "Report",
            "Status",
            "TaskMessage",
        ),
        "middleware": (
            "Middleware",
            "Outgoing",
        ),
        "option": ("Option",),
        "pipeline": (
            "Pipeline",
            "each",
        ),
        "reports": ("Reports",),
        "result": ("Result",),
        "role": ("Role",),
        "scheduling": (
            "Schedulable",
            "Schedule",
        ),
        "task": (
            "AsyncTask",
            "SyncTask",
            "Task",
        ),
        "tasks": ("Tasks",),
        "timetable": (
            "Look",
            "ScheduleKey",
            "Seat",
            "Timetable",
        ),
    }
    _HOMES = {name: f"typeddingo.{module}" for module, names in _MODULES.items() for name in names}

    def __getattr__(name):
        import importlib

        if name not in _HOMES:
            raise AttributeError(f"module 'typeddingo' has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return value

    def __dir__():
        return sorted({*globals(), *_HOMES})


__all__ = [
    # the front door
    "App",
    "Config",
    "Ack",
    "Limits",
    "Option",
    "Tasks",
    "Task",
    "SyncTask",
    "AsyncTask",
    "Pipeline",
    "each",
    "Schedule",
    "Schedulable",
    # what comes back
    "Result",
    "gather",
    "Report",
    "Reports",
    "Status",
    "Failure",
    # inside a task
    "Context",
    "current_context",
    # around every task
    "Middleware",
    "Outgoing",
    # what an app tells
    "Event",
    "EventCode",
    "EventLevel",
    "Subscription",
    # what can go wrong
    "TypedDingoError",
    "ConfigError",
    "LifespanError",
    "SignatureError",
    "ArgumentError",
    "Misfit",
    "InvokeError",
    "SendError",
    "Unroutable",
    "PayloadTooLarge",
    "QueueFull",
    "BrokerBlocked",
    "SendUnknown",
    "ConnectionLost",
    "WireError",
    "HeaderError",
    "DecodeError",
    "LimitError",
    "Untrusted",
    "ResultError",
    "ReportsIgnored",
    "ResultTimeout",
    "ResultClosed",
    "ResultExpired",
    "NoHandler",
    "TaskFailed",
    "Retry",
    "TimeLimitExceeded",
    "ErrorCode",
    # values: converters, marshallers, invokers, ids
    "Converter",
    "ValueConverter",
    "Tree",
    "Marshaller",
    "MarshallerID",
    "JSONMarshaller",
    "JSONSafeMarshaller",
    "MsgpackMarshaller",
    "CustomMarshaller",
    "SignedMarshaller",
    "WrappedMarshaller",
    "FrameKind",
    "Codec",
    "Invoker",
    "GenericInvoker",
    "LazyInvoker",
    "IDMaker",
    "IDMakerID",
    "UUIDMaker",
    "SeqIDMaker",
    # adapters: brokers and backends
    "Role",
    "Producer",
    "Consumer",
    "NamedConsumer",
    "Broker",
    "NamedBroker",
    "LocalBroker",
    "Confirmation",
    "Listener",
    "Delivery",
    "Receipt",
    "Timetable",
    "ScheduleKey",
    "Seat",
    "Look",
    "Reporter",
    "Store",
    "Backend",
    "ReportStream",
    "LocalBackend",
    "EventSource",
    # what travels
    "TaskMessage",
    "Meta",
    "Parcel",
    "Header",
    "compose_bytes",
    "decompose_bytes",
]
