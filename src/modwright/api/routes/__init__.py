"""One module per group of paths; each parses, calls one function, renders."""
