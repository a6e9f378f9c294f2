"""Errors whose message is for the person who ran a command."""


class WarehouseError(Exception):
    """A command cannot do its work; the message says why and what to do."""


class VaultError(WarehouseError):
    """An operation on the vault is refused."""


class OutgoingError(WarehouseError):
    """A file that would leave the warehouse has personal data; the message names rows and columns, not values."""
