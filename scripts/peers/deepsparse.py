"""DeepSparse: the last version with an engine is 1.8.0 (1.9 is a notice that it has ended); it is built against numpy 1."""
from .peer import Peer, channels_first, channels_last

PEER = Peer("deepsparse", {"deepsparse": ("f32", "DeepSparse, dense weights")}, "deepsparse", ["deepsparse==1.8.0", "numpy<2"],
            "all of it (NM_ARCH)", python="3.11", limit=lambda isa: {"NM_ARCH": isa})


def engine(job, name):
    import deepsparse

    def for_images(x):
        model, x = deepsparse.Engine(str(job.onnx), batch_size=len(x), num_cores=job.threads), channels_first(x)
        return lambda: channels_last(model.run([x])[0])
    return deepsparse.__version__, for_images
