"""A set of places in a batch's list, small enough to save at every checkpoint."""


class Bitmap:
    """Places 0 to 99,999 as bits: a whole batch in 12.5 kB."""

    def __init__(self, data: bytes = b"") -> None:
        self._bits = bytearray(data)
        self._count = sum(byte.bit_count() for byte in self._bits)

    def add(self, place: int) -> None:
        """Put a place in; adding it twice changes nothing."""
        byte, bit = divmod(place, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        if not self._bits[byte] >> bit & 1:
            self._bits[byte] |= 1 << bit
            self._count += 1

    def __contains__(self, place: int) -> bool:
        byte, bit = divmod(place, 8)
        return byte < len(self._bits) and bool(self._bits[byte] >> bit & 1)

    def __len__(self) -> int:
        return self._count

    def __bytes__(self) -> bytes:
        return bytes(self._bits)
