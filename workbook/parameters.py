"""The parameters of a notebook: read with their ranges from the cell that names them, and refused where they are outside."""
