"""The few functions that compose the stages; what faces and jobs call."""
