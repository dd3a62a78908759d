"""What every check is made of: properties of the reader's function, and one line: ✓, a hint, or "not attempted".

The checks stand in lesson.py and in a file for each lab. They never raise, so a notebook runs on.
"""

import functools
from collections.abc import Callable, Mapping

import torch


class NotAttempted(Exception):
    pass


def expect(holds: bool, hint: str) -> None:
    if not holds:
        raise AssertionError(hint)


def checks(success: str) -> Callable:
    """Makes a check out of a function that raises AssertionError with a hint."""

    def decorate(body: Callable) -> Callable:
        @functools.wraps(body)
        def check(answer: Callable) -> None:
            def call(*args, **kwargs):
                result = answer(*args, **kwargs)
                if result is None or result is ...:
                    raise NotAttempted
                return result

            try:
                torch.manual_seed(0)
                body(call)
                print(f"✓ {success}")
            except NotAttempted:
                print("not attempted")
            except AssertionError as hint:
                print(f"✗ not yet: {hint}")
            except Exception as error:
                print(f"✗ your function raised {type(error).__name__}: {error}")

        return check

    return decorate


def holds(statements: Mapping[str, bool]) -> None:
    """Prints which of a notebook's closing statements hold in this run: none by name where all of them do."""
    failing = [statement for statement, true in statements.items() if not true]
    if not failing:
        print(f"✓ all {len(statements)} statements hold in this run")
    for statement in failing:
        print(f"✗ not in this run: {statement}")


def close(a, b, tolerance: float = 1e-5) -> bool:
    a, b = torch.as_tensor(a).double(), torch.as_tensor(b).double()
    return a.shape == b.shape and bool(torch.allclose(a, b, rtol=tolerance, atol=tolerance))
