"""The local store: content-addressed blobs, action results, and what this workspace remembers of its files."""
