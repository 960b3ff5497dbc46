"""tpbox: one local process lives in a Kubernetes cluster."""

__version__ = "0.1.0"
