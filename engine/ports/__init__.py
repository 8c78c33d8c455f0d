"""What quell needs of the world, one Protocol a file."""
