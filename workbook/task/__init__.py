"""Your own task: pictures from files, a teacher from a file, and a student handed over as a folder.

What to train and how stands in kdlab; each step of the way is a module here, and nothing is imported until it is used.
"""
