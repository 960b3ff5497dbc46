"""The way between the launcher, its helper and the proxy pod: keys and the control channel."""
