"""The checks of the exercises: one file for the lesson, one for each lab."""
