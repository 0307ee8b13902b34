"""The phone book: who has an account, who is there, and where each can be reached."""
