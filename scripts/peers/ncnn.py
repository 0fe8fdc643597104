"""ncnn, its model converted by pnnx. It takes one image at a time."""
import os
import shutil
import subprocess
import sys

from .peer import Peer, channels_first, channels_last

PEER = Peer("ncnn", {
    "ncnn": ("f32", "ncnn, one extractor on all threads"),
    "ncnn-extractors": ("f32", "ncnn, an extractor a thread, the batch divided among them"),
    "ncnn-bf16": ("bf16", "as ncnn, stored and packed in bf16"),
    "ncnn-extractors-bf16": ("bf16", "as ncnn-extractors, stored and packed in bf16"),
}, "ncnn", ["ncnn", "pnnx", "numpy"], "nothing: ncnn takes what the processor has")


def prepare(job):
    converter = shutil.which("pnnx", path=os.path.dirname(sys.executable))
    shape = f"inputshape=[1,3,{job.image_size},{job.image_size}]"
    subprocess.run([converter, job.onnx.name, shape, "fp16=0"], cwd=job.folder, check=True, stdout=subprocess.DEVNULL)


def engine(job, name):
    import ncnn
    import numpy as np
    from concurrent.futures import ThreadPoolExecutor
    extractors = job.threads if "extractors" in name else 1
    net = ncnn.Net()
    net.opt.num_threads = job.threads // extractors
    net.opt.use_vulkan_compute = False
    net.opt.use_bf16_storage = "bf16" in name
    net.load_param(str(job.folder / "base.ncnn.param"))
    net.load_model(str(job.folder / "base.ncnn.bin"))
    pool = ThreadPoolExecutor(extractors)

    def one(image):
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(image))
        return np.array(extractor.extract("out0")[1])

    def for_images(x):
        images = list(channels_first(x))
        take = map if extractors == 1 else pool.map
        return lambda: channels_last(np.stack(list(take(one, images))))
    return ncnn.__version__, for_images
