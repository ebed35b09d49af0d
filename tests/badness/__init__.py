"""Peers that mean no good, or that know no better: what they send, and how they send it."""
