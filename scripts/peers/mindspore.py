"""MindSpore Lite: the last version on the package index is 2.0.0, for Python 3.7."""
from .peer import Peer, channels_first, channels_last

PEER = Peer("mindspore", {"mindspore": ("f32", "MindSpore Lite, optimised when converted")}, "mindspore_lite",
            ["mindspore-lite==2.0.0", "numpy"], "nothing: MindSpore Lite takes what the processor has", python="3.7")


def prepare(job):
    import mindspore_lite as lite
    for count in {1, job.batch_size}:
        converter = lite.Converter()
        converter.input_shape = {"x": [count, 3, job.image_size, job.image_size]}
        converter.input_format = lite.Format.NCHW
        converter.save_type = lite.ModelType.MINDIR
        converter.convert(lite.FmkType.ONNX, str(job.onnx), str(job.folder / f"base-{count}"))


def engine(job, name):
    import mindspore_lite as lite
    context = lite.Context()
    context.target = ["cpu"]
    context.cpu.thread_num = job.threads

    def for_images(x):
        model = lite.Model()
        model.build_from_file(str(job.folder / f"base-{len(x)}.mindir"), lite.ModelType.MINDIR, context)
        inputs = model.get_inputs()
        first = channels_first(x)

        def step():
            inputs[0].set_data_from_numpy(first)
            return channels_last(model.predict(inputs)[0].get_data_to_numpy())
        return step
    return lite.__version__, for_images
