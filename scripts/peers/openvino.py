"""OpenVINO on its CPU device."""
from .peer import Peer, channels_first, channels_last

ONEDNN_ISA = {"avx2": "AVX2", "avx512": "AVX512_CORE"}
PEER = Peer("openvino", {
    "openvino": ("f32", "OpenVINO, one stream on all threads"),
    "openvino-streams": ("f32", "OpenVINO, a stream a thread, the batch divided among them"),
    "openvino-bf16": ("bf16", "as openvino, inference precision bf16"),
    "openvino-streams-bf16": ("bf16", "as openvino-streams, inference precision bf16"),
}, "openvino", ["openvino"], "its oneDNN kernels (ONEDNN_MAX_CPU_ISA); its others only where the build reads OV_CPU_MAX_ISA",
            environment="main", limit=lambda isa: {"ONEDNN_MAX_CPU_ISA": ONEDNN_ISA[isa], "OV_CPU_MAX_ISA": ONEDNN_ISA[isa]})


def engine(job, name):
    import numpy as np
    import openvino as ov
    core = ov.Core()
    options = {"INFERENCE_NUM_THREADS": job.threads, "INFERENCE_PRECISION_HINT": "bf16" if "bf16" in name else "f32"}
    streams = job.threads if "streams" in name else 1
    options.update({"NUM_STREAMS": streams, "PERFORMANCE_HINT": "THROUGHPUT" if streams > 1 else "LATENCY"})

    def for_images(x):
        part = max(n for n in range(1, len(x) + 1) if len(x) % n == 0 and n <= max(1, len(x) // streams))
        parts = np.split(channels_first(x), len(x) // part)
        model = core.read_model(job.onnx)
        model.reshape([part, 3, job.image_size, job.image_size])
        compiled = core.compile_model(model, "CPU", options)
        if streams == 1:
            request = compiled.create_infer_request()
            return lambda: channels_last(request.infer({0: parts[0]})[0])
        queue, found = ov.AsyncInferQueue(compiled, streams), [None] * len(parts)
        queue.set_callback(lambda request, i: found.__setitem__(i, request.get_output_tensor(0).data.copy()))

        def step():
            for i, images in enumerate(parts):
                queue.start_async({0: images}, i)
            queue.wait_all()
            return channels_last(np.concatenate(found))
        return step
    return ov.__version__.split("-")[0], for_images
