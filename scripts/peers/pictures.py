"""The images that all engines get."""


def write(job):
    """Images (PNG, for ours) and the same as numbers (NHWC, for the peers): photographs where there are some, else drawn."""
    import numpy as np
    from PIL import Image
    side = job.image_size
    photographs = sorted((job.folder / "photographs").rglob("*.*"))[:job.batch_size]
    rng, images = np.random.default_rng(0), []
    (job.folder / "check/test/all").mkdir(parents=True)
    for i in range(job.batch_size):
        if i < len(photographs):
            image = Image.open(photographs[i]).convert("RGB")
        else:
            image = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        image = image.resize((side, side), Image.BICUBIC)
        image.save(job.folder / f"check/test/all/{i:04}.png")
        images.append(np.asarray(image))
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.save(job.folder / "input.npy", ((np.stack(images) / 255 - mean) / deviation).astype(np.float32))
