"""The panels: a widget a file."""
