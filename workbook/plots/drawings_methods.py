"""The drawings of the notebooks from 20 on, each made by a function of its name; drawings.py writes them."""

DRAWINGS = ()
