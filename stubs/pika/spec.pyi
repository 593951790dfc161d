class BasicProperties:
    content_type: str | None
    headers: dict[str, object] | None
    delivery_mode: int | None
    reply_to: str | None
    message_id: str | None
    timestamp: int | None
    type: str | None
    def __init__(
        self,
        *,
        content_type: str | None = ...,
        headers: dict[str, object] | None = ...,
        delivery_mode: int | None = ...,
        reply_to: str | None = ...,
        message_id: str | None = ...,
        timestamp: int | None = ...,
        type: str | None = ...,
    ) -> None: ...
    def decode(self, encoded: bytes, offset: int = ...) -> BasicProperties: ...

class Basic:
    class Ack:
        delivery_tag: int
        multiple: bool
        def __init__(self, delivery_tag: int = ..., multiple: bool = ...) -> None: ...

    class Publish:
        exchange: str
        routing_key: str
        mandatory: bool

    class Nack:
        delivery_tag: int
        multiple: bool

    class Deliver:
        delivery_tag: int
        redelivered: bool
        routing_key: str
        def __init__(
            self, consumer_tag: str, delivery_tag: int, redelivered: bool, exchange: str, routing_key: str
        ) -> None: ...

    class GetOk:
        delivery_tag: int
        redelivered: bool
        message_count: int

    class GetEmpty: ...

    class Return:
        reply_code: int
        reply_text: str
        routing_key: str

class Queue:
    class PurgeOk:
        message_count: int

    class DeclareOk:
        queue: str
        message_count: int
        consumer_count: int
