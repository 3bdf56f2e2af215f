"""Clean an executed notebook, so that it reopens alive or as a picture, never as "model not found".

A widget view is a reference into a kernel that is gone when the notebook is opened again. Our widgets carry
HTML and a picture beside it; without the view, those are what is shown. Notebooks here are the plain
dictionaries of nbformat 4; nothing in this file needs Jupyter.
"""

from __future__ import annotations

import copy
from typing import Any

Notebook = dict[str, Any]
Output = dict[str, Any]

VIEW = "application/vnd.jupyter.widget-view+json"


def stripped(notebook: Notebook) -> Notebook:
    """A copy for publication: no widget views, no widget state, no outputs that were only a view.

    Outputs with nothing but a view and its plain text are progress bars (tqdm) and the like: they go too.
    Everything else is kept as it is.
    """
    result = without_views(notebook)
    result["metadata"].pop("widgets", None)
    for cell in result["cells"]:
        if "outputs" in cell:
            cell["outputs"] = [output for output in cell["outputs"] if not _only_view(output)]
    return result


def without_views(notebook: Notebook) -> Notebook:
    """A copy in which a widget view is dropped wherever HTML or a PNG stands beside it."""
    result = copy.deepcopy(notebook)
    for cell in result["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data or "image/png" in data:
                data.pop(VIEW, None)
                output.get("metadata", {}).pop(VIEW, None)
    return result


def before_save(model: dict[str, Any], path: str, contents_manager: object) -> None:
    """A `pre_save_hook` for Jupyter: a student's own saved notebook reopens alive as well."""
    if model.get("type") == "notebook" and model.get("content"):
        model["content"] = without_views(model["content"])


def _only_view(output: Output) -> bool:
    data = output.get("data", {})
    return VIEW in data and set(data) <= {VIEW, "text/plain"}
