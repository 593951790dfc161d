from collections.abc import Callable

from pika.frame import Method
from pika.spec import Basic, BasicProperties, Queue

class Channel:
    channel_number: int
    def add_callback(
        self, callback: Callable[[Method[object]], object], replies: list[type], one_shot: bool = ...
    ) -> None: ...
    def add_on_cancel_callback(self, callback: Callable[[Method[object]], object]) -> None: ...
    def add_on_close_callback(self, callback: Callable[[Channel, BaseException], object]) -> None: ...
    def add_on_return_callback(
        self, callback: Callable[[Channel, Basic.Return, BasicProperties, bytes], object]
    ) -> None: ...
    def basic_ack(self, delivery_tag: int = ..., multiple: bool = ...) -> None: ...
    def basic_nack(self, delivery_tag: int = ..., multiple: bool = ..., requeue: bool = ...) -> None: ...
    def basic_reject(self, delivery_tag: int = ..., requeue: bool = ...) -> None: ...
    def basic_publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        properties: BasicProperties | None = ...,
        mandatory: bool = ...,
    ) -> None: ...
    def basic_get(
        self, queue: str, callback: Callable[[Channel, Basic.GetOk, BasicProperties, bytes], object]
    ) -> None: ...
    def basic_qos(self, *, prefetch_count: int, callback: Callable[[Method[object]], object]) -> None: ...
    def basic_consume(
        self,
        queue: str,
        on_message_callback: Callable[[Channel, Basic.Deliver, BasicProperties, bytes], object],
        *,
        consumer_tag: str | None = ...,
        arguments: dict[str, object] | None = ...,
        callback: Callable[[Method[object]], object],
    ) -> str: ...
    def basic_cancel(self, consumer_tag: str, callback: Callable[[Method[object]], object]) -> None: ...
    def confirm_delivery(
        self,
        ack_nack_callback: Callable[[Method[Basic.Ack | Basic.Nack]], object],
        callback: Callable[[Method[object]], object],
    ) -> None: ...
    def exchange_declare(
        self, exchange: str, exchange_type: str, *, durable: bool, callback: Callable[[Method[object]], object]
    ) -> None: ...
    def queue_declare(
        self,
        queue: str,
        *,
        passive: bool = ...,
        durable: bool = ...,
        exclusive: bool = ...,
        arguments: dict[str, object] | None = ...,
        callback: Callable[[Method[Queue.DeclareOk]], object],
    ) -> None: ...
    def queue_bind(
        self,
        queue: str,
        exchange: str,
        routing_key: str,
        arguments: dict[str, object] | None = None,
        *,
        callback: Callable[[Method[object]], object],
    ) -> None: ...
    def exchange_bind(
        self,
        destination: str,
        source: str,
        routing_key: str,
        arguments: dict[str, object] | None = None,
        *,
        callback: Callable[[Method[object]], object],
    ) -> None: ...
    def queue_purge(self, queue: str, *, callback: Callable[[Method[Queue.PurgeOk]], object]) -> None: ...
    def queue_delete(self, queue: str, *, callback: Callable[[Method[object]], object]) -> None: ...
    def close(self) -> None: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def is_closed(self) -> bool: ...
    @property
    def is_closing(self) -> bool: ...
