"""How a model becomes one: trainers per family, as generators of events."""
