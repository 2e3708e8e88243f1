"""Answering: one loaded model, the queue in front of it, and the names it is served under. No HTTP here."""
