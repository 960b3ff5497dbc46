"""Pure: what a session will make, decided from the request and the facts before anything is made."""
