"""Has the kernel ready of the notebook that `make lab` opens: it starts while the browser still loads the page.

A server extension. The page finds the notebook's session running and joins it, as after a reload. What the lesson's
first cells import is imported there meanwhile, and leaves no name behind; what is missing, the cell says that wants it.
"""

from pathlib import Path

from tornado.ioloop import IOLoop

# In the order in which 00 comes to them; any first step of an optimizer imports torch's compiler.
MODULES = ("torch", "matplotlib.pyplot", "workbook.plots", "workbook.panels", "kdlab.training", "sklearn.datasets",
           "torch._dynamo")
PATIENCE = 120  # seconds for one of them: a kernel that somebody shuts down does not answer


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server) -> None:
    file, root = (Path(name).resolve() for name in (server.file_to_run, server.root_dir))
    if file.suffix == ".ipynb" and file.is_relative_to(root):
        IOLoop.current().add_callback(begin, server, file.relative_to(root))


async def begin(server, path: Path) -> None:
    """Starts the session that the notebook's page would start, and imports MODULES in its kernel, one at a time.

    A cell that is run meanwhile comes between them.

    Args:
        server: jupyter_server's ServerApp, once it answers.
        path: the notebook, seen from the server's root.
    """
    session = await server.session_manager.create_session(path=path.as_posix(), name=path.name, type="notebook")
    client = server.kernel_manager.get_kernel(session["kernel"]["id"]).client()
    client.start_channels()
    silent = dict(silent=True, store_history=False, allow_stdin=False)
    try:
        for module in MODULES:
            await client.execute(f"__import__({module!r})", **silent, reply=True, timeout=PATIENCE)
    except TimeoutError:
        server.log.info("%s: its kernel no longer answers, and nothing more is imported there", path)
    finally:
        client.stop_channels()
