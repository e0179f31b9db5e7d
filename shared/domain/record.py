"""What the store keeps of the domain: frozen records that are cheap to change and to write down."""

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Like a frozen dataclass, and chosen over it for what every document passes several times:
    a changed copy takes 0.1 µs instead of 3, and what is stored leaves out the defaults.

    Change one with `msgspec.structs.replace`. A field that is added later needs a default, and
    then what was stored before stays readable.
    """
