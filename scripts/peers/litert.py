"""LiteRT (before: TensorFlow Lite) with XNNPACK, its model made by TensorFlow's converter from the Keras model."""
import os

from .peer import Peer

PEER = Peer("litert", {"litert": ("f32", "LiteRT, XNNPACK")}, "ai_edge_litert", ["ai-edge-litert", "numpy"],
            "nothing: XNNPACK takes what the processor has", prepared_in="main")


def prepare(job):
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2 as frozen
    from .network import with_weights
    model = with_weights(job)
    for count in {1, job.batch_size}:
        shape = tf.TensorSpec([count, job.image_size, job.image_size, 3], tf.float32)
        function = tf.function(lambda x: model(x, training=False)).get_concrete_function(shape)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen(function)])
        (job.folder / f"base-{count}.tflite").write_bytes(converter.convert())


def engine(job, name):
    from ai_edge_litert import interpreter as litert
    import importlib.metadata

    def for_images(x):
        model = litert.Interpreter(str(job.folder / f"base-{len(x)}.tflite"), num_threads=job.threads)
        model.allocate_tensors()
        source, target = model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]

        def step():
            model.set_tensor(source, x)
            model.invoke()
            return model.get_tensor(target)
        return step
    return importlib.metadata.version("ai-edge-litert"), for_images
