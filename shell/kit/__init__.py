"""The console kit: what the user's shell and the admin console share. It knows nothing of messages."""
