"""modwright: train, prove and serve your own moderation classifiers on your own machines."""

__version__ = "0.1.0"
