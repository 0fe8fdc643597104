"""Environments of the peers: one a name, bench/venv-peers for "main" and bench/venv-peers-NAME for the others."""
import os
import pathlib
import shutil
import subprocess
import sys

from . import ENGINES, torch

# What makes the network and the images, in the main environment.
MAIN = ["numpy", "pillow", "safetensors", "onnx", "tensorflow-cpu"]


def python_of(folder, environment):
    """Its interpreter, whether it is there or not."""
    name = "venv-peers" if environment == "main" else f"venv-peers-{environment}"
    return folder / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def interpreter(version):
    """A Python of this version, from the path or pyenv's; the one that runs now where any will do."""
    if version is None:
        return sys.executable
    candidates = [shutil.which(f"python{version}")]
    candidates += sorted((pathlib.Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python"), reverse=True)
    for found in filter(None, candidates):
        if subprocess.run([found, "-c", "import ensurepip"], capture_output=True).returncode == 0:
            return found
    return None


def setup(folder, wanted, libraries):
    """Makes the environments of the wanted peers; `libraries` says which of those for GPUs come with PyTorch."""
    for environment in dict.fromkeys(["main"] + [module.PEER.environment for module in wanted]):
        peers = [module.PEER for module in wanted if module.PEER.environment == environment]
        python = python_of(folder, environment)
        if not python.exists():
            version = next((peer.python for peer in peers if peer.python), None)
            base = interpreter(version)
            if base is None:
                print(f"{environment}: no Python {version} on this machine", flush=True)
                continue
            subprocess.run([base, "-m", "venv", python.parent.parent], check=True)
        packages = (MAIN if environment == "main" else []) + [p for peer in peers if peer.name != "torch" for p in peer.packages]
        if not pip(python, *packages):
            for package in packages:  # one that is missing for this machine must not take the others with it
                pip(python, package)
        if torch.PEER in peers:
            setup_torch(python, libraries)
    for module in ENGINES.values():
        peer = module.PEER
        print(f"{peer.name:12} {loads(python_of(folder, peer.environment), peer.imports) or 'not installed'}")


def setup_torch(python, libraries):
    if libraries == "auto" and not loads(python, "torch"):
        pip(python, *torch.NEEDS) and pip(python, "--no-deps", *torch.PEER.packages)
        if not loads(python, "torch"):
            print("torch does not load without its libraries for GPUs: installing them (several gigabytes)", flush=True)
            libraries = "full"
    if libraries == "full":
        pip(python, *torch.PEER.packages)


def pip(python, *what):
    return subprocess.run([python, "-m", "pip", "install", "--quiet", *what]).returncode == 0


def loads(python, module):
    """What the interpreter says of a module that it can load: its version, where it has one."""
    if not pathlib.Path(python).exists():
        return None
    command = [python, "-c", f"import {module}; print(getattr({module}, '__version__', 'installed'))"]
    run = subprocess.run(command, capture_output=True, text=True)
    return run.stdout.split()[-1] if run.returncode == 0 and run.stdout.split() else None
