"""What every peer says of itself, and the job that one is given."""
import json
import pathlib


class Peer:
    """An engine: the rows it has in the table, and how its environment is made.

    name          the first part of its rows' names
    rows          name of a row: (class, what it is)
    imports       the module that must load in the environment
    packages      what pip installs
    limited       what --isa-limit reaches in it
    environment   whose environment it runs in; peers that do not disturb each other share "main"
    python        the Python that its packages are built for, None: any
    limit         variables that hold it to an instruction set, a function of the set's name
    prepared_in   the environment that `prepare` runs in, where it is another one
    patience      seconds until a step that gives no answer is ended
    """

    def __init__(self, name, rows, imports, packages, limited, environment=None, python=None, limit=None, prepared_in=None,
                 patience=900):
        self.name, self.rows, self.imports, self.packages, self.limited = name, rows, imports, packages, limited
        self.environment, self.python = environment or name, python
        self.limit = limit or (lambda isa: {})
        self.prepared_in, self.patience = prepared_in or self.environment, patience


class Job:
    """What a worker is told: the same fields for every engine."""
    FIELDS = ("folder", "weights", "base", "batches", "batch_size", "image_size", "threads")

    def __init__(self, fields):
        vars(self).update(fields)
        self.folder = pathlib.Path(self.folder)

    @classmethod
    def text(cls, args, folder):
        """The job as one argument of a command line."""
        fields = {name: getattr(args, name) for name in cls.FIELDS if name != "folder"}
        fields["weights"] = str(fields["weights"]) if fields["weights"] else None
        return json.dumps(dict(fields, folder=str(folder)))

    @classmethod
    def parse(cls, text):
        return cls(json.loads(text))

    @property
    def onnx(self):
        """The base as ONNX: `x` (N, 3, height, width), any N, to the features (N, channels, height, width)."""
        return self.folder / "base.onnx"

    @property
    def keras_weights(self):
        """Its weights as Keras keeps them."""
        return self.folder / "base.weights.h5"


def channels_first(x):
    """(N, height, width, channels) to (N, channels, height, width), in memory too."""
    return x.transpose(0, 3, 1, 2).copy()


def channels_last(x):
    return x.transpose(0, 2, 3, 1)
