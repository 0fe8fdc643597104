"""Keras, on TensorFlow and on JAX: the lesson as its book has it."""
import os

ROWS = {
    "keras-tf": "Keras on TensorFlow",
    "keras-tf-jit": "Keras on TensorFlow, jit_compile=True",
    "keras-tf-onednn": "Keras on TensorFlow, TF_ENABLE_ONEDNN_OPTS=1",
    "keras-jax": "Keras on JAX",
}


def train(job, name):
    os.environ["KERAS_BACKEND"] = "jax" if name == "keras-jax" else "tensorflow"
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1" if name == "keras-tf-onednn" else "0"
    import keras
    if name != "keras-jax":
        import tensorflow as tf
        tf.config.threading.set_intra_op_parallelism_threads(job.threads)
        version = f"{keras.__version__}, TF {tf.__version__}"
    else:
        import jax
        version = f"{keras.__version__}, JAX {jax.__version__}"
    keras.utils.set_random_seed(job.seed)
    x, y, xv, yv = job.load()
    model = keras.Sequential([keras.Input((x.shape[1],)), keras.layers.Dense(job.units, activation="relu"),
                              keras.layers.Dropout(job.dropout), keras.layers.Dense(1, activation="sigmoid")])
    # On JAX a step is compiled whatever is asked for.
    model.compile(keras.optimizers.RMSprop(learning_rate=job.rate), loss="binary_crossentropy", metrics=["accuracy"],
                  jit_compile="auto" if name == "keras-jax" else name == "keras-tf-jit")

    def fit():
        log = model.fit(x, y, epochs=job.epochs, batch_size=job.batch_size, validation_data=(xv, yv), verbose=0).history
        return log["accuracy"][-1], log["val_accuracy"][-1]
    return version, fit
