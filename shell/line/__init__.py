"""The line: messages straight to other shells over UDP, kept on disk until they are delivered."""
