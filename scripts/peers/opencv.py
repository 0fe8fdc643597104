"""OpenCV's dnn module."""
from .peer import Peer, channels_first, channels_last

PEER = Peer("opencv", {"opencv": ("f32", "OpenCV dnn")}, "cv2", ["opencv-python-headless", "numpy"],
            "all of it (OPENCV_CPU_DISABLE)",
            limit=lambda isa: {"OPENCV_CPU_DISABLE": "AVX512_SKX"} if isa == "avx2" else {})


def engine(job, name):
    import cv2
    cv2.setNumThreads(job.threads)

    def for_images(x):
        net, x = cv2.dnn.readNetFromONNX(str(job.onnx)), channels_first(x)

        def step():
            net.setInput(x)
            return channels_last(net.forward())
        return step
    return cv2.__version__, for_images
