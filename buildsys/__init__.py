"""Content-addressed builds of Kubernetes cluster rootfs tarballs."""

__version__ = "0.1.0"
