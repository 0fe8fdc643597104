"""ONNX Runtime, its CPU provider."""
from .peer import Peer, channels_first, channels_last

PEER = Peer("onnxruntime", {"onnxruntime": ("f32", "ONNX Runtime, its default optimisations")}, "onnxruntime", ["onnxruntime"],
            "nothing: ONNX Runtime has no such switch and uses all that the processor has", environment="main")


def engine(job, name):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = job.threads
    session = ort.InferenceSession(str(job.onnx), options, providers=["CPUExecutionProvider"])

    def for_images(x):
        x = channels_first(x)
        return lambda: channels_last(session.run(None, {"x": x})[0])
    return ort.__version__, for_images
