"""Images that were built, to where they are run: pushed to registries, loaded into podman or docker."""
