"""What a single lab needs and cannot stand in its notebook."""
