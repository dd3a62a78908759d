"""What every check of an exercise does, whatever it is handed: one line, and never an exception."""


def hinted(run, answer, hint, capsys):
    """A wrong answer gets one line, with this hint."""
    run(answer)
    said = capsys.readouterr().out
    assert said.startswith("✗ not yet: ") and hint in said and said.count("\n") == 1


def told(run, capsys):
    """A stub is not attempted, whether it returns None or three dots, and an error is told, not raised."""
    run(lambda *args: None)
    run(lambda *args: ...)
    assert capsys.readouterr().out == "not attempted\nnot attempted\n"
    run(lambda *args: 1 / 0)
    assert capsys.readouterr().out == "✗ your function raised ZeroDivisionError: division by zero\n"
