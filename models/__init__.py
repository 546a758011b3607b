"""The vocabulary: frozen pydantic types. No I/O and no behaviour beyond validation."""
