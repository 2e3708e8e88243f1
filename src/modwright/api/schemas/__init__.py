"""The wire formats as pydantic models, and their translation to and from the types inside."""
