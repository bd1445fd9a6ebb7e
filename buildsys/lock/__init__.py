"""Locking: what the lock file lacks is found out over the network, and written there."""
