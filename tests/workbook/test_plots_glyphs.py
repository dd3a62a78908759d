"""The row of pictures shows each with its title, in colour or grey, and is small as a file."""

import io

import pytest
import torch

from workbook.plots import glyphs


@pytest.mark.parametrize("channels", [1, 3])
def test_each_picture_has_its_title(channels):
    figure = glyphs.row(torch.zeros(4, channels, 32, 32, dtype=torch.uint8), "O0QC")
    assert [ax.get_title() for ax in figure.axes] == list("O0QC")
    assert all(len(ax.images) == 1 for ax in figure.axes)


def test_a_title_may_have_two_lines_and_a_long_one_is_cut_so_that_neighbours_stay_apart():
    pictures = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    one, two = glyphs.row(pictures, ["O", "0"]), glyphs.row(pictures, ["a very long name\n→ O", "0"])
    assert two.axes[0].get_title() == "a very lo…\n→ O"
    assert two.get_figheight() > one.get_figheight()


def test_pictures_without_titles_for_all_are_refused():
    with pytest.raises(ValueError):
        glyphs.row(torch.zeros(2, 1, 32, 32, dtype=torch.uint8), "O")


def test_noise_takes_a_picture_of_its_own_pixels_and_no_more():
    noise = torch.randint(0, 256, (10, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    file = io.BytesIO()
    glyphs.row(noise, "O0QCGDIl1S").savefig(file, format="png")
    assert file.tell() < 40_000
