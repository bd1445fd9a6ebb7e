"""Container image formats: references, image JSON, the registry's storage tree and docker archives."""
