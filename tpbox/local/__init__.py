"""Everything on this machine: Docker, images, the helper, the user's process, the embedded cluster."""
