"""JAX without Keras: one compiled function a step, which takes its rows from the array by their numbers and writes weights in place."""
ROWS = {"jax": "JAX by hand, a compiled step"}


def train(job, name):
    import functools
    import jax
    import jax.numpy as jnp
    import numpy as np
    x, y, xv, yv = (jnp.asarray(a) for a in job.load())
    y, yv = (a.astype(jnp.float32) for a in (y, yv))

    def glorot(key, inputs, outputs):
        limit = (6 / (inputs + outputs)) ** 0.5
        return jax.random.uniform(key, (inputs, outputs), jnp.float32, -limit, limit)

    def logits(weights, rows, keep=1.0):
        w1, b1, w2, b2 = weights
        return ((jax.nn.relu(rows @ w1 + b1) * keep) @ w2)[:, 0] + b2[0]

    def loss(weights, rows, labels, keep):
        z = logits(weights, rows, keep)
        return jnp.mean(jnp.maximum(z, 0) - z * labels + jnp.log1p(jnp.exp(-jnp.abs(z)))), jnp.sum((z > 0) == (labels > 0.5))

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(weights, squares, x, y, order, key):
        rows, labels = x[order], y[order]
        keep = jax.random.bernoulli(key, 1 - job.dropout, (len(order), job.units)) / (1 - job.dropout)
        (_, hits), gradients = jax.value_and_grad(loss, has_aux=True)(weights, rows, labels, keep)
        squares = [0.9 * v + 0.1 * g * g for v, g in zip(squares, gradients)]
        weights = [w - job.rate * g / jnp.sqrt(v + 1e-7) for w, g, v in zip(weights, gradients, squares)]
        return weights, squares, hits

    @jax.jit
    def validate(weights, xv, yv):
        return jnp.mean((logits(weights, xv) > 0) == (yv > 0.5))

    first, second = jax.random.split(jax.random.key(job.seed))
    weights = [glorot(first, x.shape[1], job.units), jnp.zeros(job.units), glorot(second, job.units, 1), jnp.zeros(1)]
    squares = [jnp.zeros_like(w) for w in weights]
    random = np.random.default_rng(job.seed)

    def fit():
        nonlocal weights, squares
        keys = iter(jax.random.split(second, job.epochs * -(-len(x) // job.batch_size)))
        for _ in range(job.epochs):
            order, hits = random.permutation(len(x)), []
            for i in range(0, len(x), job.batch_size):
                weights, squares, found = step(weights, squares, x, y, order[i:i + job.batch_size], next(keys))
                hits.append(found)
            accuracy, val = sum(int(h) for h in hits) / len(x), float(validate(weights, xv, yv))
        return accuracy, val
    return jax.__version__, fit
