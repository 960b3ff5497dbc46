"""Everything in the cluster, through the Kubernetes API."""
