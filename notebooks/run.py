"""Runs a notebook in the working directory: run.py NOTEBOOK [--keep]. With --keep its outputs are put into the file."""
import re
import sys

import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": "."}}).execute()
if "--keep" in sys.argv[2:]:
    for cell in notebook.cells:
        # When a cell ran is nothing to keep: outputs alone change.
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            # Pictures speak for themselves; "<Figure size 640x480 with 1 Axes>" is for terminals.
            if "image/png" in output.get("data", {}):
                output["data"].pop("text/plain", None)
            # Nothing of the machine that ran it.
            if "text" in output:
                output["text"] = re.sub(r"/\S+/ipykernel_\d+/\d+\.py", "cell", output["text"])
                output["text"] = re.sub(r"/\S+/(data|notebooks)/", r"\1/", output["text"])
    nbformat.write(notebook, sys.argv[1])
