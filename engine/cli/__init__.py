"""The verbs that a user types, one file each; the words are those of the design."""
