"""One section of a settings file as a Struct, for both programs; imports neither of them."""
