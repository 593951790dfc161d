"""Who converts which annotation, chosen once per contract.

Comes from ``contract``, used by ``row`` and the class codecs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from typeddingo.converter import Converter, ValueConverter
from typeddingo.converters.adopt import carried_by_class
from typeddingo.converters.containers import CollectionCodec, is_collection
from typeddingo.converters.slots import Slots
from typeddingo.converters.source import is_old_typed_dict
from typeddingo.converters.typed_dicts import TypedDictCodec

if TYPE_CHECKING:
    from typeddingo.converters.cattrs import ClassCodec

__all__ = ["Codecs"]


class Codecs:
    """The converters of one contract: the user's own, then cattrs for attrs classes and dataclasses, else pydantic.

    ``namespace`` resolves names local to the place of decoration. Call ``settle`` when all slots are made.
    """

    def __init__(
        self, *, strict: bool = True, converter: Converter | None = None, namespace: Mapping[str, object] | None = None
    ) -> None:
        self.strict = strict
        self.namespace: dict[str, object] = dict(namespace or {})
        self.converter: Converter | None = converter
        self._chosen: dict[object, ValueConverter] = {}
        self._pending: list[ClassCodec | CollectionCodec | TypedDictCodec] = []

    def choose(self, annotation: object) -> ValueConverter | None:
        """The value converter of an annotation, None when pydantic carries it."""
        try:
            if (known := self._chosen.get(annotation)) is not None:
                return known
        except TypeError:  # unhashable metadata: nothing we carry by class
            return None
        if self.converter is not None and self.converter.handles(annotation):
            return self._chosen.setdefault(annotation, self.converter.prepare(annotation))
        codec: ClassCodec | CollectionCodec | TypedDictCodec
        if is_collection(annotation):
            codec = CollectionCodec(annotation, self)
        elif carried_by_class(annotation):
            from typeddingo.converters.cattrs import ClassCodec  # cattrs is imported when first needed

            codec = ClassCodec(annotation, self)
        elif is_old_typed_dict(annotation):
            codec = TypedDictCodec(annotation, self)
        else:
            return None
        self._chosen[annotation] = codec
        self._pending.append(codec)
        return codec

    def slots(self, names: Sequence[str], annotations: Sequence[object], *, tail: bool = False) -> Slots:
        """Compile a list of annotations. Raises ``SignatureError``."""
        return Slots(names, annotations, self.choose, strict=self.strict, tail=tail)

    def settle(self) -> None:
        """Compile the classes met so far and those their fields bring in. Raises ``SignatureError``."""
        while self._pending:
            self._pending.pop().build()
        self.namespace = {}  # it is the declaring function's locals: the app would keep all of them alive
