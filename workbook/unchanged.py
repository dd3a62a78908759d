"""A notebook that was only opened has no unsaved changes, and one that is saved says nothing of who saved it.

A server extension. The page takes over the Python version that its kernel tells, and the files of a project that
several Pythons run hold none: it is put in on the way to the page, and left out on the way back. So is the old name
`collapsed`, which JupyterLab writes beside the new one of a hidden output.
"""

import inspect
import sys

VERSION = sys.version.split()[0]  # as ipykernel tells it


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server) -> None:
    watch(server.contents_manager)


def watch(contents) -> None:
    """Has a contents manager of jupyter_server complete what pages get, and restore what they save.

    A notebook with a version of its own, or for another kernel than this Python's, is left as it is.
    """
    read, completed = contents.get, set()

    def complete(model: dict) -> dict:
        if model["type"] == "notebook" and model["content"]:
            metadata = model["content"]["metadata"]
            kernel, language = metadata.get("kernelspec", {}), metadata.get("language_info", {})
            completed.discard(model["path"])
            if kernel.get("name") == "python3" and language and "version" not in language:
                language["version"] = VERSION
                completed.add(model["path"])
        return model

    async def later(model) -> dict:
        return complete(await model)

    def get(*args, **kwargs):
        model = read(*args, **kwargs)
        return later(model) if inspect.isawaitable(model) else complete(model)

    def restore(model: dict, path: str, **_) -> None:
        if model["type"] == "notebook" and path.strip("/") in completed:
            model["content"]["metadata"].get("language_info", {}).pop("version", None)
            for cell in model["content"]["cells"]:
                if cell["metadata"].get("jupyter", {}).get("outputs_hidden") == cell["metadata"].get("collapsed"):
                    cell["metadata"].pop("collapsed", None)

    contents.get = get
    contents.register_pre_save_hook(restore)
