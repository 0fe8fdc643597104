"""Keras on TensorFlow."""
import os

from .openvino import ONEDNN_ISA
from .peer import Peer

PEER = Peer("keras", {
    "keras-predict": ("f32", "Keras, model.predict_on_batch"),
    "keras-function": ("f32", "Keras, the model inside a tf.function"),
    "keras-onednn": ("f32", "as keras-function with TF_ENABLE_ONEDNN_OPTS=1, which is the default only on some processors"),
}, "keras", ["tensorflow-cpu"],
            "its oneDNN kernels (ONEDNN_MAX_CPU_ISA); TensorFlow's other kernels are fixed when it is compiled",
            environment="main", limit=lambda isa: {"ONEDNN_MAX_CPU_ISA": ONEDNN_ISA[isa]})


def engine(job, name):
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if "onednn" in name:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    import tensorflow as tf
    import keras
    from .network import with_weights
    tf.config.threading.set_intra_op_parallelism_threads(job.threads)
    model = with_weights(job)

    def for_images(x):
        if name == "keras-predict":
            return lambda: model.predict_on_batch(x)
        function, x = tf.function(lambda images: model(images, training=False)), tf.constant(x)
        return lambda: function(x).numpy()
    return f"{keras.__version__} on TF {tf.__version__}", for_images
