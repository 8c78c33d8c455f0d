"""quell: turns alerts into finished remediations that people can trust."""
