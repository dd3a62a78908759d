"""One command that measures a machine within some minutes, and leaves a record that the notebooks draw.

    python -m workbook.record --device cuda --data cifar10-jpeg.tar.xz --out gpu-NAME.json --minutes 8

It runs from a copy of the repository, with torch, torchvision and numpy alone; what needs more says so and is left out.
"""
