"""What both programs are told when they start, by a settings file and by options; imports neither of them."""
