"""Pure parsers: one module per kernel file, bytes in, frozen dataclasses out."""
