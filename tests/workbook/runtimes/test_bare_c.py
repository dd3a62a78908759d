"""The student as C: torch's answers, nothing wanted from a libc, and clean under the tools that look for errors.

Sizes are compared with each other and with counts by hand; no number of bytes of code is asserted.
"""

import copy
import functools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn

from kdlab import models
from kdlab.evaluation import predict
from workbook.runtimes import RUNTIMES, Unavailable, bare_c

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
DIGITS = ["mlp-32", "mlp-24-16", "cnn-8-16"]
CASES = [*(("digits", name) for name in DIGITS), ("glyphs", "cnn-8-16-16")]
MAIN = """
#include <stdio.h>
void student_run(const float image[], float logits[]);
int main(void)
{
    static float image[%d], logits[%d];
    while (fread(image, sizeof image, 1, stdin) == 1) {
        student_run(image, logits);
        fwrite(logits, sizeof logits, 1, stdout);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def taught(trained):
    """Maps a student's name to the student, its data, normalized test images, and torch's logits for them."""

    @functools.cache
    def of(name, dataset="digits"):
        pictures, student = trained(dataset, name)
        return student, pictures, pictures.normalize(pictures.test.images), predict(student, pictures, "test")

    return of


@pytest.fixture(scope="module")
def compiled(taught):
    """Maps a student's name and a kind, "float" or "int8", to the program, compiled once."""

    @functools.cache
    def of(name, kind, dataset="digits"):
        student, pictures, images, _ = taught(name, dataset)
        return built(student, images[:1], calibration(pictures) if kind == "int8" else None)

    return of


def built(model, example, seen=None):
    return RUNTIMES["bare C" if seen is None else "bare C int8"].build(model, example, seen)


def calibration(pictures, n=200):
    return pictures.normalize(pictures.train.images[:n])


def text(student, pictures, kind):
    return bare_c.source(student, pictures.shape, calibration(pictures) if kind == "int8" else None)


def accuracy(logits, pictures):
    return 100 * (logits.argmax(1) == pictures.test.labels).double().mean().item()


def program(folder: Path, source, shape, *flags):
    """Compiles source and MAIN to a program that reads images from stdin and writes logits to stdout."""
    (folder / "student.c").write_text(source)
    (folder / "main.c").write_text(MAIN % (torch.Size(shape).numel(), 10))
    command = ["gcc", "-std=c99", "-g", *flags, "student.c", "main.c", "-o", "program"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "program"


def feed(command, images):
    done = subprocess.run([str(word) for word in command], input=images.numpy().tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return torch.frombuffer(bytearray(done.stdout), dtype=torch.float32).view(len(images), 10), done.stderr.decode()


@needs_gcc
@pytest.mark.parametrize("dataset, name", CASES)
def test_float_gives_torchs_logits(dataset, name, taught, compiled):
    student, pictures, images, logits = taught(name, dataset)
    got = compiled(name, "float", dataset)(images)
    torch.testing.assert_close(got, logits, rtol=1e-4, atol=1e-4)
    assert abs(accuracy(got, pictures) - accuracy(logits, pictures)) <= 0.5


@needs_gcc
@pytest.mark.parametrize("dataset, name", CASES)
def test_int8_keeps_the_accuracy(dataset, name, taught, compiled):
    student, pictures, images, logits = taught(name, dataset)
    got = compiled(name, "int8", dataset)(images)
    assert abs(accuracy(got, pictures) - accuracy(logits, pictures)) <= 1.5
    assert accuracy(got, pictures) > 60
    assert 0 < (got - logits).abs().max() < 0.1 * logits.abs().max()  # it is int8, and it is near


@needs_gcc
@pytest.mark.parametrize("name", ["article-student", "tutorial-student", "cnn-3"])
@pytest.mark.parametrize("shape", [(3, 10, 7), (1, 5, 4)])
def test_odd_sizes_biases_and_other_channels_agree_with_torch(name, shape):
    torch.manual_seed(1)
    model, images = models.build(name, shape, 3).eval(), torch.randn(5, *shape)
    with torch.no_grad():
        expected = model(images)
    torch.testing.assert_close(built(model, images)(images), expected, rtol=1e-4, atol=1e-4)
    near = built(model, images, images)(images)
    assert (near - expected).abs().max() < 0.1 * expected.abs().max()


@needs_gcc
def test_int8_equals_integer_arithmetic_done_by_hand(taught, compiled):
    """One hidden layer; everything after the input's rounding is exact, so a float64 computation must agree."""
    student, pictures, images, _ = taught("mlp-32")
    seen, (first, last) = calibration(pictures), (student[1], student[3])

    def per_channel(weight):
        unit = weight.abs().amax(1, keepdim=True) / 127
        return (weight / unit).round(), unit[:, 0]

    with torch.no_grad():
        (w0, u0), (w1, u1) = per_channel(first.weight.double()), per_channel(last.weight.double())
        x_unit, h_unit = seen.abs().max().double() / 127, first(seen.flatten(1)).max().double() / 127
        x = (images.flatten(1).double() / x_unit).round().clamp(-127, 127)
        h = x @ w0.T + (first.bias.double() / u0 / x_unit).round()
        h = (h.relu() * (u0 * x_unit / h_unit)).round().clamp(max=127)
        expected = (h @ w1.T + (last.bias.double() / u1 / h_unit).round()) * u1 * h_unit
    got = compiled("mlp-32", "int8")(images)
    step = float((u1 * h_unit).max() * 127)  # one unit of one hidden neuron, where a rounding fell the other way
    assert (got - expected).abs().max() <= step
    assert ((got - expected).abs().amax(1) < 1e-4).double().mean() > 0.95


@needs_gcc
@pytest.mark.parametrize("kind", ["float", "int8"])
@pytest.mark.parametrize("name", DIGITS)
def test_nothing_is_wanted_from_outside_but_memcpy(tmp_path, name, kind, taught):
    student, pictures, _, _ = taught(name)
    source = text(student, pictures, kind)
    assert set(bare_c.sizes(source).undefined) <= {"memcpy"}
    assert set(re.findall(r"#include\s*(\S+)", source)) == {"<stdint.h>"}
    (tmp_path / "student.c").write_text(source)
    link = ["gcc", *bare_c.FLAGS, *"-nostdlib -shared -fPIC -Wl,--no-undefined student.c -o student.so".split()]
    subprocess.run(link, cwd=tmp_path, check=True)


@needs_gcc
def test_sizes_count_the_weights_and_the_buffers(taught):
    student, pictures, _, _ = taught("mlp-32")
    size = bare_c.sizes(text(student, pictures, "float"))
    weights = models.cost(student, pictures.shape).bytes
    assert weights <= size.constants <= weights + 4 * 10 + 256  # ten factors of 1, and alignment
    assert 4 * 32 <= size.ram <= 4 * 32 + 64  # the hidden layer; the image and the logits are the caller's
    small = bare_c.sizes(text(student, pictures, "int8"))
    assert 64 + 32 <= small.ram <= 64 + 32 + 64
    assert weights / 4 <= small.constants < weights / 2
    assert 0 < size.code < size.constants and size.stack > 0


@needs_gcc
def test_the_map_before_a_pooling_is_never_stored(taught):
    student, pictures, _, _ = taught("cnn-8-16-16", "glyphs")
    whole = 8 * 32 * 32  # values of the first convolution
    assert bare_c.sizes(text(student, pictures, "float")).ram < 4 * whole / 2
    assert bare_c.sizes(text(student, pictures, "int8")).ram < whole


@needs_gcc
@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
@pytest.mark.parametrize("kind", ["float", "int8"])
@pytest.mark.parametrize("name", ["mlp-32", "cnn-8-16"])
def test_valgrind_finds_no_error_and_no_leak(tmp_path, name, kind, taught, compiled):
    student, pictures, images, _ = taught(name)
    run = program(tmp_path, text(student, pictures, kind), pictures.shape, "-O1")
    checks = ["--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=all", "--errors-for-leak-kinds=all"]
    logits, said = feed(["valgrind", *checks, run], images[:20])
    assert "ERROR SUMMARY: 0 errors" in said
    torch.testing.assert_close(logits, compiled(name, kind)(images[:20]), rtol=1e-5, atol=1e-5)


def sanitizers():
    command = "echo 'int main(void){return 0;}' | gcc -fsanitize=undefined,address -x c - -o /dev/null"
    return shutil.which("gcc") and subprocess.run(command, shell=True, capture_output=True).returncode == 0


@pytest.mark.skipif(not sanitizers(), reason="gcc has no sanitizers here")
@pytest.mark.parametrize("kind", ["float", "int8"])
@pytest.mark.parametrize("name", ["mlp-24-16", "cnn-8-16"])
def test_sanitizers_find_nothing_even_for_absurd_images(tmp_path, name, kind, taught):
    student, pictures, images, _ = taught(name)
    checks = "-fsanitize=undefined,address,float-cast-overflow,float-divide-by-zero"
    run = program(tmp_path, text(student, pictures, kind), pictures.shape, "-O1", checks, "-fno-sanitize-recover=all")
    factors = (1e30, -1e30, torch.nan, torch.inf)
    absurd = torch.stack([images[0] * factor for factor in factors])
    logits, said = feed([run], torch.cat([images, absurd]))
    assert said == ""
    assert kind == "float" or logits.isfinite().all()


BOARD = """
extern unsigned stack_top[];
void reset(void);
__attribute__((section(".vectors"), used)) static const void *vectors[] = {stack_top, (void *)reset};

static void host(int operation, const void *argument) /* Arm's semihosting: the emulator prints and stops */
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

void reset(void)
{
    *(volatile unsigned *)0xE000ED88 |= 0xF << 20; /* switches the float unit on */
    __asm__ volatile("dsb; isb");
    for (int n = 0; n < IMAGES; n++) {
        static union { float logits[10]; unsigned bits[10]; } out;
        student_run(images[n], out.logits);
        for (int i = 0; i < 10; i++) {
            char line[10] = "00000000\\n";
            for (int k = 0; k < 8; k++)
                line[k] = "0123456789abcdef"[out.bits[i] >> (28 - 4 * k) & 15];
            host(4, line);
        }
    }
    host(0x18, (const void *)0x20026);
}
"""
MEMORY = """
ENTRY(reset)
SECTIONS {
    . = 0; .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) }
    . = 0x20000000; .bss : { *(.data*) *(.bss*) *(COMMON) }
    stack_top = 0x20008000;
}
"""
CORTEX_M4 = "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16"
needs_arm = pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")),
    reason="needs Debian's gcc-arm-none-eabi and qemu-system-arm",
)


@needs_arm
@pytest.mark.parametrize("kind", ["float", "int8"])
@pytest.mark.parametrize("name", ["mlp-32", "cnn-8-16"])
def test_an_emulated_microcontroller_gives_the_same_logits(tmp_path, name, kind, taught, compiled):
    """A Cortex-M4 without an operating system, 32 KB of RAM, no libc: only reset vector, student and semihosting."""
    student, pictures, images, _ = taught(name)
    images, source = images[:20], text(student, pictures, kind)
    numbers = ", ".join(f"{x}f" for x in images.flatten().tolist())
    head = f"\n#define IMAGES {len(images)}\nstatic const float images[IMAGES][64] = {{{numbers}}};\n"
    (tmp_path / "student.c").write_text(source + head + BOARD)
    (tmp_path / "memory.ld").write_text(MEMORY)
    link = [*CORTEX_M4.split(), "-Os", "-std=c99", "-ffreestanding", "-nostdlib", "-Wno-missing-braces", "-Tmemory.ld"]
    subprocess.run([*link, "student.c", "-o", "student.elf"], cwd=tmp_path, check=True, capture_output=True)
    run = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-semihosting-config", "enable=on,target=native"]
    done = subprocess.run([*run, "-kernel", "student.elf"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    words = [int(line, 16) for line in (done.stdout + done.stderr).split()]
    logits = torch.tensor(words, dtype=torch.int64).to(torch.int32).view(torch.float32).view(len(images), 10)
    here = compiled(name, kind)(images)
    torch.testing.assert_close(logits, here, rtol=1e-5, atol=1e-5)


@needs_arm
def test_sizes_are_told_for_another_compiler_too(taught):
    student, pictures, _, _ = taught("mlp-32")
    size = bare_c.sizes(text(student, pictures, "int8"), CORTEX_M4)
    assert size.undefined == () and 64 + 32 <= size.ram <= 64 + 32 + 64
    assert size.constants >= models.cost(student, pictures.shape).parameters


@needs_gcc
def test_a_channel_without_weights_and_a_layer_that_never_fires_are_no_trouble(taught):
    student, pictures, images, _ = taught("mlp-24-16")
    student = copy.deepcopy(student)
    with torch.no_grad():
        student[1].weight[0] = 0.0
        student[3].weight.zero_(), student[3].bias.fill_(-1.0)
        expected = student(images)  # the bias of the last layer
    got = built(student, images[:1], calibration(pictures))(images)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@needs_gcc
def test_writing_c_leaves_the_model_as_it_was(taught):
    student, pictures, _, _ = taught("cnn-8-16")
    student = copy.deepcopy(student).train()
    before = {key: value.clone() for key, value in student.state_dict().items()}
    first, second = (text(student, pictures, "int8") for _ in range(2))
    assert student.training and first == second
    assert all(torch.equal(value, before[key]) for key, value in student.state_dict().items())


def test_what_has_no_c_is_refused_by_name():
    shape = (3, 32, 32)
    with pytest.raises(Unavailable, match="ResNet at this place cannot be translated; mlp-"):
        bare_c.source(models.build("resnet8", shape, 10), shape)
    with pytest.raises(Unavailable, match="Conv2d at this place"):
        bare_c.source(nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 784, 2)), shape)
    with pytest.raises(Unavailable, match="Linear at this place"):  # two matrices without a ReLU between them
        bare_c.source(nn.Sequential(nn.Flatten(), nn.Linear(3072, 4), nn.Linear(4, 2)), shape)
    with pytest.raises(Unavailable, match="Conv2d at this place"):  # no logits at its end
        bare_c.source(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()), shape)


def test_weights_and_images_that_are_not_finite_are_refused():
    model, image = models.build("mlp-4", (1, 8, 8), 2), torch.zeros(1, 1, 8, 8)
    with pytest.raises(ValueError, match="calibration must be at least one finite image"):
        bare_c.source(model, (1, 8, 8), image[:0])
    with pytest.raises(ValueError, match="calibration must be at least one finite image"):
        bare_c.source(model, (1, 8, 8), image / 0)
    model[1].bias.data[0] = torch.inf
    with pytest.raises(ValueError, match="weights must be finite"):
        bare_c.source(model, (1, 8, 8))


def test_a_missing_compiler_is_one_clear_sentence(monkeypatch):
    monkeypatch.setenv("CC", "no-such-cc -O2")
    model, image = models.build("mlp-4", (1, 8, 8), 2), torch.zeros(1, 1, 8, 8)
    with pytest.raises(Unavailable, match="the C compiler no-such-cc is not here: install it") as caught:
        built(model, image)
    assert "\n" not in str(caught.value)


@needs_gcc
def test_images_of_another_shape_are_refused(compiled):
    with pytest.raises(ValueError, match=r"images must be \(batch, 1, 8, 8\), got \(2, 1, 8, 7\)"):
        compiled("mlp-32", "float")(torch.zeros(2, 1, 8, 7))


@needs_gcc
def test_a_folder_that_is_written_again_gives_the_new_student(tmp_path):
    image = torch.ones(1, 1, 8, 8)
    first, second = (models.build("mlp-4", (1, 8, 8), 2).eval() for _ in range(2))
    for model in (first, second):
        bare_c.write(model, image, None, tmp_path)
        torch.testing.assert_close(bare_c.read(tmp_path, image)(image), model(image).detach(), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(first(image), second(image))


def test_other_paddings_and_poolings_are_refused():
    def with_one(conv=None, pool=None):
        first = [conv or nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), pool or nn.MaxPool2d(2)]
        return nn.Sequential(*first, nn.Flatten(), nn.Linear(32, 2))

    bare_c.source(with_one(), (1, 8, 8))
    reflecting = nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")
    for other in (dict(conv=reflecting), dict(pool=nn.MaxPool2d(2, ceil_mode=True))):
        with pytest.raises(Unavailable, match="Conv2d at this place cannot be translated"):
            bare_c.source(with_one(**other), (1, 8, 8))


def test_relu_before_or_after_the_pooling_is_the_same_program():
    conv, rest, example = nn.Conv2d(1, 2, 3, padding=1), [nn.Flatten(), nn.Linear(32, 3)], (1, 8, 8)
    programs = [bare_c.source(nn.Sequential(conv, *two, *rest), example)
                for two in ((nn.ReLU(), nn.MaxPool2d(2)), (nn.MaxPool2d(2), nn.ReLU()))]
    assert programs[0] == programs[1]
