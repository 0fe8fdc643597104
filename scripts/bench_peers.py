#!/usr/bin/env python3
"""Measures the frozen VGG16 base (block5_pool, 150x150x3, batches of 20) in other engines and in ours, in turns.

    scripts/bench_peers.py --setup                       once: installs the peers into bench/venv-peers (git-ignored)
    scripts/bench_peers.py --data PHOTOGRAPHS            the table
    scripts/bench_peers.py --isa-limit avx2              every engine held to AVX2, where it can be

Peers in f32: TensorFlow/Keras, PyTorch, ONNX Runtime, OpenVINO; in bf16, where the processor has units for it: PyTorch,
OpenVINO. Each gets the same weights, images and number of threads, and is tried in the ways its documentation names for
inference, a row of the table each. Ours: `kernels`, the base alone (example bench_base, random weights), and `extract`,
the program, from photographs to files. An engine runs in a process of its own each time, so that memory is its own and
nothing is shared; rounds go through all engines in order (A B C A B C ...), so that a machine that slows down slows all.

images/s   of a batch, after one that is not counted: best of all rounds, and the median of the rounds' medians
1 image    best time of a batch of one
peak       largest resident memory of the process up to and with batches of the full size, in MB (its interpreter too)
others     part of the machine that other processes took in the calmest round; above a few per cent the row is too low
ratio      images/s (best) divided by that of the best peer of the class
off by     largest difference of the features from ours in `highest`, as part of the largest feature, same images

First: cargo build --release && cargo build --release -p backbone --example bench_base
"""
import argparse, fnmatch, json, os, pathlib, platform, re, shutil, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / "bench" / "venv-peers"
PACKAGES = ["numpy", "pillow", "safetensors", "onnx", "onnxruntime", "openvino", "tensorflow-cpu"]
# What importing torch needs besides the libraries for GPUs.
TORCH_NEEDS = ["filelock", "fsspec", "jinja2", "networkx", "setuptools", "sympy", "typing-extensions"]
# Name: class, what it is.
PEERS = {
    "onnxruntime": ("f32", "ONNX Runtime, its default optimisations"),
    "openvino": ("f32", "OpenVINO, one stream on all threads"),
    "openvino-streams": ("f32", "OpenVINO, a stream a thread, the batch divided among them"),
    "keras-predict": ("f32", "Keras, model.predict_on_batch"),
    "keras-function": ("f32", "Keras, the model inside a tf.function"),
    "keras-onednn": ("f32", "as keras-function with TF_ENABLE_ONEDNN_OPTS=1, which is the default only on some processors"),
    "torch": ("f32", "PyTorch, channels_last, inference_mode"),
    "torch-contiguous": ("f32", "PyTorch, NCHW in memory, inference_mode"),
    "torch-frozen": ("f32", "PyTorch, channels_last, traced, frozen, optimize_for_inference"),
    "openvino-bf16": ("bf16", "as openvino, inference precision bf16"),
    "openvino-streams-bf16": ("bf16", "as openvino-streams, inference precision bf16"),
    "torch-bf16": ("bf16", "as torch, weights and activations bf16"),
    "torch-frozen-bf16": ("bf16", "as torch-frozen, weights and activations bf16"),
}
ISAS = ["amx-bf16", "avx512-bf16", "avx512", "avx2", "neon"]  # fastest first
PRECISIONS = {"highest": "f32", "high": "f32", "medium": "bf16"}
# Above this the engines do not compute the same thing. f32: rounding, Winograd. bf16: 8 bits through 13 layers.
TOLERANCE = {"f32": 1e-4, "bf16": 5e-2}
# Of torchvision's `features`, the convolutions; a pool follows those whose successor is missing.
CONVOLUTIONS = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
POOL_AFTER = {2, 7, 14, 21, 28}
ONEDNN_ISA = {"avx2": "AVX2", "avx512": "AVX512_CORE"}
# What --isa-limit reaches in each peer.
LIMITED = {
    "keras": "its oneDNN kernels (ONEDNN_MAX_CPU_ISA); TensorFlow's other kernels are fixed when it is compiled",
    "torch": "oneDNN, ATen and MKL kernels (ONEDNN_MAX_CPU_ISA, ATEN_CPU_CAPABILITY, MKL_ENABLE_INSTRUCTIONS)",
    "openvino": "its oneDNN kernels (ONEDNN_MAX_CPU_ISA); its others only where the build reads OV_CPU_MAX_ISA",
    "onnxruntime": "nothing: ONNX Runtime has no such switch and uses all that the processor has",
}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--setup", action="store_true", help="install the peers into bench/venv-peers, then exit")
    p.add_argument("--torch", choices=["auto", "full", "none"], default="auto", help="with --setup: PyTorch without the "
                   "libraries for GPUs, else with them (auto); with them, several gigabytes (full); not at all (none)")
    p.add_argument("--weights", type=pathlib.Path, default=ROOT / "models/weights/timm--vgg16.tv_in1k.safetensors",
                   help="safetensors with torchvision's names, as `extract` leaves in models/weights")
    p.add_argument("--data", type=pathlib.Path, help="folder with photographs, at any depth: adds the whole `extract`, "
                   "and compares features on them (without: on drawn images)")
    p.add_argument("--images", type=int, default=200, help="photographs of --data that extract takes (default 200)")
    p.add_argument("--rounds", type=int, default=3, help="times through all engines (default 3)")
    p.add_argument("--batches", type=int, default=3, help="batches timed in a round (default 3)")
    p.add_argument("--batch-size", type=int, default=20)
    p.add_argument("--image-size", type=int, default=150)
    p.add_argument("--threads", type=int, default=cores(), help="of every engine (default: all cores)")
    p.add_argument("--engines", metavar="PATTERNS", default="*", help="only these, e.g. 'torch*,kernels*' (default: all "
                   f"of {', '.join(PEERS)}, kernels-ISA-PRECISION, extract-ISA-PRECISION)")
    p.add_argument("--isa", metavar="LIST", help=f"of ours (default: those of {','.join(ISAS)} that this machine has)")
    p.add_argument("--precision", metavar="LIST", help="of ours (default: highest,high,medium; for the ISAs that are "
                   "not the fastest, highest)")
    p.add_argument("--isa-limit", choices=list(ONEDNN_ISA), help="hold all engines to this; says where that fails")
    p.add_argument("--log", type=pathlib.Path, help="append what is measured here, one JSON object a line, and print the "
                   "table of all that the file holds: rounds can be spread over several runs")
    p.add_argument("--bin", type=pathlib.Path, default=ROOT / "target/release", help="where our programs are")
    for hidden in ("--worker", "--folder"):
        p.add_argument(hidden, help=argparse.SUPPRESS)
    return p.parse_args()


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def venv_python():
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


# --- Installing ---------------------------------------------------------------------------------------------------

def setup(torch):
    def pip(*what):
        return subprocess.run([venv_python(), "-m", "pip", "install", "--quiet", *what]).returncode == 0

    def imports(module):
        command = [venv_python(), "-c", f"import {module}; print({module}.__version__)"]
        run = subprocess.run(command, capture_output=True, text=True)
        return run.stdout.split()[-1] if run.returncode == 0 else None

    if not venv_python().exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    if not pip(*PACKAGES):
        for package in PACKAGES:  # one that is missing for this machine must not take the others with it
            pip(package)
    if torch == "auto" and not imports("torch"):
        pip(*TORCH_NEEDS) and pip("--no-deps", "torch")
        if not imports("torch"):
            print("torch does not load without its libraries for GPUs: installing them (several gigabytes)", flush=True)
            torch = "full"
    if torch == "full":
        pip("torch")
    for module in ["numpy", "PIL", "safetensors", "onnx", "onnxruntime", "openvino", "tensorflow", "keras", "torch"]:
        print(f"{module:12} {imports(module) or 'not installed'}")


# --- One engine, in a process of its own (the environment of bench/venv-peers) --------------------------------------

def weights_of(path):
    """Weight (OIHW) and bias of each convolution."""
    import numpy as np
    from safetensors.numpy import load_file
    tensors = load_file(path)
    return [tuple(tensors[f"features.{i}.{part}"].astype(np.float32) for part in ("weight", "bias")) for i in CONVOLUTIONS]


def prepare(args):
    """Images (PNG, for ours), the same as numbers (NHWC, for the peers), and the base as ONNX."""
    import numpy as np
    import onnx
    from PIL import Image
    from onnx import TensorProto, helper, numpy_helper
    folder, side = pathlib.Path(args.folder), args.image_size
    photographs = sorted((folder / "photographs").rglob("*.*"))[:args.batch_size]
    rng, images = np.random.default_rng(0), []
    (folder / "check/test/all").mkdir(parents=True)
    for i in range(args.batch_size):
        if i < len(photographs):
            image = Image.open(photographs[i]).convert("RGB")
        else:
            image = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        image = image.resize((side, side), Image.BICUBIC)
        image.save(folder / f"check/test/all/{i:04}.png")
        images.append(np.asarray(image))
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.save(folder / "input.npy", ((np.stack(images) / 255 - mean) / deviation).astype(np.float32))

    nodes, values, name = [], [], "x"
    for i, (weight, bias) in zip(CONVOLUTIONS, weights_of(args.weights)):
        values += [numpy_helper.from_array(weight, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        nodes += [helper.make_node("Conv", [name, f"w{i}", f"b{i}"], [f"c{i}"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
                  helper.make_node("Relu", [f"c{i}"], [f"r{i}"])]
        name = f"r{i}"
        if i in POOL_AFTER:
            nodes.append(helper.make_node("MaxPool", [name], [f"p{i}"], kernel_shape=[2, 2], strides=[2, 2]))
            name = f"p{i}"
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, side, side])
    features = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 512, side // 32, side // 32])
    graph = helper.make_graph(nodes, "vgg16", [image], [features], values)
    # Opset 13 and IR 8 are read by every ONNX Runtime since 1.11.
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "vgg16.onnx")
    return {}


def onnxruntime_engine(args, name):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = ort.InferenceSession(f"{args.folder}/vgg16.onnx", options, providers=["CPUExecutionProvider"])

    def for_images(x):
        x = x.transpose(0, 3, 1, 2).copy()
        return lambda: session.run(None, {"x": x})[0].transpose(0, 2, 3, 1)
    return ort.__version__, for_images


def openvino_engine(args, name):
    import numpy as np
    import openvino as ov
    core = ov.Core()
    options = {"INFERENCE_NUM_THREADS": args.threads, "INFERENCE_PRECISION_HINT": "bf16" if "bf16" in name else "f32"}
    streams = args.threads if "streams" in name else 1
    options |= {"NUM_STREAMS": streams, "PERFORMANCE_HINT": "THROUGHPUT" if streams > 1 else "LATENCY"}

    def for_images(x):
        part = max(n for n in range(1, len(x) + 1) if len(x) % n == 0 and n <= max(1, len(x) // streams))
        parts = np.split(x.transpose(0, 3, 1, 2).copy(), len(x) // part)
        model = core.read_model(f"{args.folder}/vgg16.onnx")
        model.reshape([part, 3, args.image_size, args.image_size])
        compiled = core.compile_model(model, "CPU", options)
        if streams == 1:
            request = compiled.create_infer_request()
            return lambda: request.infer({0: parts[0]})[0].transpose(0, 2, 3, 1)
        queue, found = ov.AsyncInferQueue(compiled, streams), [None] * len(parts)
        queue.set_callback(lambda request, i: found.__setitem__(i, request.get_output_tensor(0).data.copy()))

        def step():
            for i, images in enumerate(parts):
                queue.start_async({0: images}, i)
            queue.wait_all()
            return np.concatenate(found).transpose(0, 2, 3, 1)
        return step
    return ov.__version__.split("-")[0], for_images


def keras_engine(args, name):
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if "onednn" in name:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    import tensorflow as tf
    import keras
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(args.image_size, args.image_size, 3))
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    for layer, (weight, bias) in zip(layers, weights_of(args.weights), strict=True):
        layer.set_weights([weight.transpose(2, 3, 1, 0), bias])

    def for_images(x):
        if name == "keras-predict":
            return lambda: model.predict_on_batch(x)
        function, x = tf.function(lambda images: model(images, training=False)), tf.constant(x)
        return lambda: function(x).numpy()
    return f"{keras.__version__} on TF {tf.__version__}", for_images


def torch_engine(args, name):
    import torch
    from torch import nn
    torch.set_num_threads(args.threads)
    layers = []
    for i, (weight, bias) in zip(CONVOLUTIONS, weights_of(args.weights)):
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
        conv.weight.data, conv.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
        layers += [conv, nn.ReLU(inplace=True)] + [nn.MaxPool2d(2)] * (i in POOL_AFTER)
    kind = torch.bfloat16 if "bf16" in name else torch.float32
    layout = torch.contiguous_format if "contiguous" in name else torch.channels_last
    model = nn.Sequential(*layers).eval().to(kind).to(memory_format=layout)

    def for_images(x):
        x = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        run = model
        if "frozen" in name:
            with torch.no_grad():
                run = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x.to(kind))))
                run(x.to(kind))  # it is specialised in the first two runs

        def step():
            with torch.inference_mode():
                return run(x.to(kind)).float().permute(0, 2, 3, 1).contiguous().numpy()
        return step
    return torch.__version__, for_images


ENGINES = {"onnxruntime": onnxruntime_engine, "openvino": openvino_engine, "keras": keras_engine, "torch": torch_engine}


def work(args):
    """Builds the engine, times it, keeps its features."""
    import numpy as np
    if args.worker == "prepare":
        return prepare(args)
    if args.worker == "compare":
        return compare(pathlib.Path(args.folder) / "features")
    x = np.load(f"{args.folder}/input.npy")
    version, for_images = ENGINES[args.worker.split("-")[0]](args, args.worker)

    def seconds(step, times):
        found = []
        for _ in range(times):
            start = time.perf_counter()
            step()
            found.append(time.perf_counter() - start)
        return found
    step = for_images(x)
    np.save(f"{args.folder}/features/{args.worker}.npy", np.ascontiguousarray(step(), np.float32))
    times = seconds(step, args.batches)
    peak = peak_memory()
    result = {"version": version, "best": len(x) / min(times), "median": len(x) / statistics.median(times), "peak": peak}
    if "streams" not in args.worker:  # one image has no parts
        step = for_images(x[:1])
        step()
        result["latency"] = min(seconds(step, 5))
    return result


def peak_memory():
    try:
        return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1]) * 1024
    except OSError:
        import resource
        return in_bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def in_bytes(maxrss):
    return maxrss if sys.platform == "darwin" else maxrss * 1024


def compare(folder):
    import numpy as np
    files = {f.stem: f for f in folder.glob("*.npy")}
    ours = sorted(n for n in files if n.endswith("-highest"))
    ours.sort(key=lambda n: next((i for i, isa in enumerate(ISAS) if isa in n), len(ISAS)))
    if not files:
        return {"reference": None, "differences": {}}
    reference = (ours or sorted(files))[0]
    expected = np.load(files[reference]).astype(np.float64)
    differences = {}
    for name, file in files.items():
        found = np.load(file)
        differences[name] = (f"shape {found.shape} is not {expected.shape}" if found.shape != expected.shape
                             else float(np.abs(found - expected).max() / np.abs(expected).max()))
    return {"reference": reference, "differences": differences}


# --- All engines in turns (standard library only: a child's peak memory counts from its parent's) -------------------

def environment(args):
    """Threads for all; no GPU; the instruction set, where one is given."""
    env = os.environ | {"OMP_NUM_THREADS": str(args.threads), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if limit := args.isa_limit:
        onednn = ONEDNN_ISA[limit]
        env |= {"ONEDNN_MAX_CPU_ISA": onednn, "OV_CPU_MAX_ISA": onednn, "ATEN_CPU_CAPABILITY": limit,
                "MKL_ENABLE_INSTRUCTIONS": limit.upper()}
    return env


def call_worker(args, name, folder, env):
    """The worker's answer, its whole output; or why there is none."""
    python = venv_python() if venv_python().exists() else sys.executable
    command = [python, __file__, "--worker", name, "--folder", str(folder)]
    for flag in ("weights", "batches", "batch_size", "image_size", "threads"):
        command += ["--" + flag.replace("_", "-"), str(getattr(args, flag))]
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", env=env)
    for line in run.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line[7:]), run.stdout
    error = (run.stderr.strip() or run.stdout.strip() or "no output").splitlines()[-1]
    if run.returncode < 0:
        error = f"ended by signal {-run.returncode}"
    missing = re.match(r"(ModuleNotFoundError|ImportError): (.*)", error)
    return {"error": f"not installed ({missing[2]})" if missing else error[:200]}, run.stdout


def call_ours(command, env):
    """Output, error, peak memory and seconds of one of our programs."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        try:
            child = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err, env=env)
        except OSError as error:
            return None, f"{command[0]}: {error.strerror}; see --help for how to build it", 0, 0
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        out.seek(0), err.seek(0)
        error = (err.read().strip().splitlines() or [f"exit code {child.returncode}"])[0]
        # 3: done, some files were skipped.
        return out.read() if child.returncode in (0, 3) else None, error, in_bytes(usage.ru_maxrss), seconds


def run_kernels(args, isa, precision, env, seconds=2.0, size=None, batch=None):
    batch = batch or args.batch_size
    command = [args.bin / "examples/bench_base", "--isa", isa, "--precision", precision, "--threads", args.threads,
               "--size", size or args.image_size, "--batch", f"1,{batch}", "--seconds", seconds]
    out, error, peak, _ = call_ours(command, env)
    if out is None:
        return {"error": error}
    rates = {int(n): (float(best), float(median)) for n, best, median in
             re.findall(r"^batch (\d+): ([\d.]+) images/s \(median ([\d.]+)\)", out, re.M)}
    return {"best": rates[batch][0], "median": rates[batch][1], "latency": 1 / rates[1][0], "peak": peak,
            "first": out.splitlines()[0]}


def run_extract(args, isa, precision, data, folder, env):
    """The program on a folder of images; its features are left in the folder."""
    command = [args.bin / "extract", "--data", data, "--split", "test", "--features", folder, "--overwrite", "--offline",
               "--models", folder, "--weights", args.weights, "--preprocess", "torch", "--isa", isa, "--precision", precision,
               "--threads", args.threads, "--batch-size", args.batch_size, "--image-size", args.image_size, "--device", "cpu",
               "--quiet", "--json"]
    out, error, peak, seconds = call_ours(command, env)
    if out is None:
        return {"error": error}
    split = json.loads(out)["splits"][0]
    rate = split["run"]["rows_per_second"]
    return {"best": rate, "median": rate, "peak": peak, "process": split["rows"] / seconds, "rows": split["rows"],
            "algorithms": split["run"]["extra"].get("algorithms", [])}


def choose_ours(args, env):
    """(ISA, precision) pairs that run here, and what does not."""
    isas = (args.isa or args.isa_limit or ",".join(ISAS)).split(",")
    there, absent = [], []
    for isa in isas:
        tried = run_kernels(args, isa, "highest", env, seconds=0, size=32, batch=2)
        if "error" not in tried:
            there.append(isa)
        elif "IsaUnavailable" in tried["error"]:
            absent.append(f"{isa}: not on this machine, or not in this build")
        else:
            absent.append(f"{isa}: {tried['error']}")
    pairs = []
    for i, isa in enumerate(there):
        precisions = args.precision.split(",") if args.precision else list(PRECISIONS) if i == 0 else ["highest"]
        pairs += [(isa, precision) for precision in precisions]
    return pairs, absent


def cpu():
    """Model and features, as far as the system tells."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine(), set()
    model = re.search(r"^(?:model name|Model)\s*:\s*(.*)$", text, re.M)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.M)
    return model[1] if model else platform.machine(), set(flags[1].split()) if flags else set()


def describe_machine(args):
    model, flags = cpu()
    known = ["avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "sve", "bf16"]
    load = f", load {os.getloadavg()[0]:.1f} before the run" if hasattr(os, "getloadavg") else ""
    return (f"{model}, {cores()} cores, {platform.machine()} {platform.system()}, "
            f"{' '.join(f for f in known if f in flags) or 'features unknown'}{load}")


def no_bf16(args):
    """Why bf16 peers are left out, or None."""
    if args.isa_limit:
        return f"{args.isa_limit} has no bf16 units"
    if not cpu()[1] & {"avx512_bf16", "amx_bf16", "bf16"}:
        return "the processor has no bf16 units"
    return None


def copy_photographs(args, folder):
    """Some of the photographs, evenly spread, where extract finds them."""
    target = folder / "photographs/test/all"
    target.mkdir(parents=True)
    if args.data:
        found = sorted(f for f in args.data.rglob("*") if f.suffix.lower() in {".jpg", ".jpeg", ".png"})
        if not found:
            sys.exit(f"{args.data}: no .jpg or .png below it")
        count = min(args.images, len(found))
        for i in range(count):
            file = found[i * len(found) // count]
            shutil.copyfile(file, target / f"{i:05}{file.suffix.lower()}")


def measure(args, log):
    """All rounds. Records go to `log`; returns what was left out, and notes."""
    env, left_out, notes, peers, ours = environment(args), {}, [], [], []
    wanted = lambda name: any(fnmatch.fnmatchcase(name, p) for p in args.engines.split(","))
    bf16 = no_bf16(args)
    for name, (kind, _) in PEERS.items():
        if wanted(name):
            if kind == "bf16" and bf16:
                left_out[name] = f"skipped: {bf16}"
            else:
                peers.append(name)
    pairs, absent = choose_ours(args, env) if any(wanted(f"{k}-{i}-{p}") for k in ("kernels", "extract")
                                                  for i in ISAS + ["portable"] for p in PRECISIONS) else ([], [])
    left_out |= {f"kernels-{line.split(':')[0]}": line.split(": ", 1)[1] for line in absent}
    for isa, precision in pairs:
        kinds = ["kernels"] + ["extract"] * bool(args.data)
        ours += [(kind, isa, precision) for kind in kinds if wanted(f"{kind}-{isa}-{precision}")]
    if not args.data:
        left_out["extract"] = "its rate is not measured: give photographs with --data"

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "features").mkdir()
        copy_photographs(args, folder)
        answer, _ = call_worker(args, "prepare", folder, env)
        if "error" in answer:
            sys.exit(f"the images and the ONNX file can't be made: {answer['error']}\nhint: scripts/bench_peers.py --setup")
        for isa, precision in pairs:
            checked = run_extract(args, isa, precision, folder / "check", folder / "ours", env)
            if "error" in checked:
                left_out[f"extract-{isa}-{precision}"] = checked["error"]
            else:
                shutil.move(folder / "ours/test_features.npy", folder / f"features/{isa}-{precision}.npy")
        for number in range(args.rounds):
            for name in [n for n in peers if n not in left_out]:
                with Others() as others:
                    result, _ = call_worker(args, name, folder, env)
                result["others"] = others.share
                record(log, left_out, {"name": name, "class": PEERS[name][0]} | result)
            for kind, isa, precision in [o for o in ours if "-".join(o) not in left_out]:
                with Others() as others:
                    if kind == "kernels":
                        result = run_kernels(args, isa, precision, env)
                    else:
                        result = run_extract(args, isa, precision, folder / "photographs", folder / "ours", env)
                result["others"] = others.share
                record(log, left_out, {"name": f"{kind}-{isa}-{precision}", "class": PRECISIONS[precision]} | result)
            print(f"round {number + 1} of {args.rounds} done", file=sys.stderr, flush=True)
        # Whether a limit was obeyed, in runs of their own: talking costs time.
        for name in [n for n in peers if args.isa_limit and n not in left_out]:
            once = argparse.Namespace(**vars(args) | {"batches": 1})
            _, output = call_worker(once, name, folder, env | {"ONEDNN_VERBOSE": "1"})
            if kernels := onednn_kernels(output):
                notes.append(f"{name}: convolutions by {kernels}")
        answer, _ = call_worker(args, "compare", folder, env)
        for name, difference in answer.get("differences", {}).items():
            log.append({"name": name, "difference": difference, "reference": answer["reference"]})
        if "error" in answer:
            notes.append(f"features were not compared: {answer['error']}")
    return left_out, notes


class Others:
    """The part of the machine that processes other than ours took, or the host; None where the system does not tell."""

    def __enter__(self):
        self.before = self.now()
        return self

    def __exit__(self, *_):
        self.share = None
        if self.before and (after := self.now()):
            total, busy, ours = (b - a for a, b in zip(self.before, after))
            self.share = max(0.0, busy - ours) / total if total else None

    @staticmethod
    def now():
        """Seconds of all cores together: passed, busy, of our children."""
        try:
            ticks = [int(n) for n in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        except OSError:
            return None
        second, times = os.sysconf("SC_CLK_TCK"), os.times()
        idle = ticks[3] + ticks[4]  # and waiting for disks
        return sum(ticks) / second, (sum(ticks) - idle) / second, times.children_user + times.children_system


class Log(list):
    """What was measured, earlier and now; the first line says with what settings."""

    def __init__(self, path, settings):
        self.path = path
        if path and path.exists():
            self.extend(json.loads(line) for line in path.read_text().splitlines())
        if not self:
            self.append(settings)
        elif self[0] != settings:
            sys.exit(f"{path}: measured with {self[0]}, this run has {settings}\nhint: give another --log")

    def append(self, line):
        super().append(line)
        if self.path:
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")


def record(log, left_out, result):
    if "error" in result:
        left_out[result["name"]] = result["error"]
        return
    log.append(result)
    print(f"  {result['name']:24} {result['best']:8.2f} images/s", file=sys.stderr, flush=True)


def onednn_kernels(output):
    """What oneDNN says of itself with ONEDNN_VERBOSE=1."""
    isa = re.search(r"info,cpu,isa:([^\n]*)", output)
    found = sorted(set(re.findall(r"exec,cpu,convolution,([^,]+),", output)))
    return (", ".join(found) + (f" ({isa[1]})" if isa else "")) if found else None


def percent(part):
    return "-" if part is None else f"{part:.0%}"


def table(args, log, left_out, notes):
    """Prints; whether all features agree."""
    runs = {}
    for r in (r for r in log if "best" in r):
        runs.setdefault(r["name"], []).append(r)
    rows = {name: {"best": max(r["best"] for r in of), "median": statistics.median(r["median"] for r in of),
                   "peak": max(r["peak"] for r in of), "latency": min((r.get("latency", 0) for r in of)), "rounds": len(of),
                   "last": of[-1], "process": max(r.get("process", 0) for r in of),
                   "others": min((r["others"] for r in of if r.get("others") is not None), default=None)} for name, of in runs.items()}
    differences, same = {r["name"]: r["difference"] for r in log if "difference" in r}, True
    best = {}
    for name, row in rows.items():
        kind = PEERS.get(name, (None,))[0]
        if kind and row["best"] > best.get(kind, (0, ""))[0]:
            best[kind] = (row["best"], name)
    version = (call_ours([args.bin / "extract", "--version"], os.environ)[0] or "?").split()[-1]

    print(f"\n{describe_machine(args)}; {args.threads} threads, batch {args.batch_size}, {args.image_size}x{args.image_size}, "
          f"{max((r['rounds'] for r in rows.values()), default=0)} rounds"
          + (f", limited to {args.isa_limit}" if args.isa_limit else ""))
    for kind in ("f32", "bf16"):
        print(f"\n{kind:24} {'version':>21} {'images/s':>9} {'median':>7} {'1 image':>9} {'peak':>6} {'others':>6} "
              f"{'ratio':>6} {'off by':>8}")
        of_kind = [(n, r) for n, r in rows.items() if r["last"]["class"] == kind and not n.startswith("extract")]
        for name, row in sorted(of_kind, key=lambda item: (item[0] not in PEERS, -item[1]["best"])):
            off = differences.get(name.removeprefix("kernels-"))
            if isinstance(off, float):
                bad = not off <= TOLERANCE[kind]
                text = f"{off:.1e}" + (" DIFFERS" if bad else "")
            else:
                bad, text = off is not None, off or "-"
            same &= not bad
            ratio = f"{row['best'] / best[kind][0]:.2f}" if kind in best else "-"
            latency = f"{row['latency'] * 1e3:.1f} ms" if row["latency"] else "-"
            print(f"{name:24} {row['last'].get('version', version):>21} {row['best']:9.2f} {row['median']:7.2f} {latency:>9} "
                  f"{row['peak'] / 1e6:6.0f} {percent(row['others']):>6} {ratio:>6} {text:>8}")
        if kind in best:
            print(f"best peer: {best[kind][1]}, {PEERS[best[kind][1]][1]}")
        else:
            print("no peer ran in this class")
    programs = [(n, r) for n, r in rows.items() if n.startswith("extract")]
    if programs:
        print(f"\n{'whole program':24} {'photographs':>11} {'images/s':>9} {'median':>7} {'with start':>10} {'of kernels':>10} {'peak':>6}"
              f" {'others':>6} {'ratio':>6}")
        for name, row in programs:
            base = rows.get(name.replace("extract", "kernels"))
            share = f"{row['median'] / base['median']:.0%}" if base else "-"
            kind = row["last"]["class"]
            ratio = f"{row['best'] / best[kind][0]:.2f}" if kind in best else "-"
            print(f"{name:24} {row['last']['rows']:11} {row['best']:9.2f} {row['median']:7.2f} {row['process']:10.2f} {share:>10} "
                  f"{row['peak'] / 1e6:6.0f} {percent(row['others']):>6} {ratio:>6}   {', '.join(row['last']['algorithms'])}")
        print("with start: rows by the whole process's time; of kernels: medians, extract's against the base's alone")
    if reference := next((r["reference"] for r in reversed(log) if r.get("reference")), None):
        print(f"\noff by: against {reference}; ours is missing" if reference in PEERS else f"\noff by: against extract with {reference}; "
              "a row of kernels has the difference of extract's features with that ISA and precision")
    if left_out:
        print("\nnot measured")
        for name, why in left_out.items():
            print(f"  {name:24} {why}")
    if args.isa_limit:
        print(f"\nwhat --isa-limit {args.isa_limit} limits")
        for name, what in LIMITED.items():
            print(f"  {name:12} {what}")
    for note in notes:
        print(f"  {note}")
    return same


def main():
    args = arguments()
    if args.setup:
        return setup(args.torch)
    if args.worker:
        print("\nRESULT " + json.dumps(work(args)), flush=True)
        return
    if not args.weights.exists():
        sys.exit(f"{args.weights} is missing\nhint: `extract` leaves it there, or give another with --weights")
    args.weights = args.weights.resolve()
    settings = {k: getattr(args, k) for k in ("threads", "batch_size", "image_size", "isa_limit")}
    settings["cpu"] = cpu()[0]
    log = Log(args.log, settings)
    left_out, notes = measure(args, log)
    if not table(args, log, left_out, notes):
        sys.exit("the engines do not compute the same features")
    if not any("best" in r for r in log):
        sys.exit("nothing was measured")


if __name__ == "__main__":
    main()
