"""PyTorch: its module and optimizer, gradients by hand, and those compiled. Its RMSprop adds epsilon behind the root; by hand it is
Keras's formula."""
ROWS = {
    "torch": "PyTorch, autograd and torch.optim.RMSprop",
    "torch-hand": "PyTorch, gradients and RMSprop by hand, in place",
    "torch-compiled": "as torch-hand, through torch.compile",
}


def train(job, name):
    import torch
    from torch.nn import functional
    torch.set_num_threads(job.threads)
    torch.set_flush_denormal(True)  # without, gradients that all but vanish make a step four times as slow
    torch.manual_seed(job.seed)
    x, y, xv, yv = (torch.from_numpy(a) for a in job.load())
    y, yv = y.float(), yv.float()
    model = torch.nn.Sequential(torch.nn.Linear(x.shape[1], job.units), torch.nn.ReLU(), torch.nn.Dropout(job.dropout),
                                torch.nn.Linear(job.units, 1))
    for layer in (model[0], model[3]):
        torch.nn.init.xavier_uniform_(layer.weight), torch.nn.init.zeros_(layer.bias)
    step = by_autograd(job, torch, functional, model) if name == "torch" else by_hand(job, torch, model)
    if name == "torch-compiled":
        step = torch.compile(step, dynamic=False)

    def fit():
        for _ in range(job.epochs):
            order, hits = torch.randperm(len(x)), []
            model.train()
            for rows in order.split(job.batch_size):
                hits.append(step(x[rows], y[rows]))
            with torch.inference_mode():
                model.eval()
                val = ((model(xv)[:, 0] > 0) == (yv > 0.5)).float().mean().item()
        return sum(int(h) for h in hits) / len(x), val
    return torch.__version__, fit


def by_autograd(job, torch, functional, model):
    optimizer = torch.optim.RMSprop(model.parameters(), lr=job.rate, alpha=0.9, eps=1e-7)

    def step(rows, labels):
        optimizer.zero_grad()
        z = model(rows)[:, 0]
        functional.binary_cross_entropy_with_logits(z, labels).backward()
        optimizer.step()
        return ((z > 0) == (labels > 0.5)).sum()
    return step


def by_hand(job, torch, model):
    w1, b1, w2, b2 = (p.data for p in model.parameters())
    squares = [torch.zeros_like(p) for p in (w1, b1, w2, b2)]
    kept = 1 - job.dropout

    def step(rows, labels):
        h = torch.addmm(b1, rows, w1.t())
        gate = (torch.rand_like(h) < kept) * (h > 0) / kept
        h = h * gate
        z = h @ w2[0] + b2
        dz = (z.sigmoid() - labels) / len(labels)
        dh = dz[:, None] * w2 * gate
        gradients = [dh.t() @ rows, dh.sum(0), dz[None] @ h, dz.sum(0, keepdim=True)]
        for p, v, g in zip((w1, b1, w2, b2), squares, gradients):
            v.mul_(0.9).addcmul_(g, g, value=0.1)
            p.addcdiv_(g, torch.sqrt(v + 1e-7), value=-job.rate)
        return ((z > 0) == (labels > 0.5)).sum()
    return torch.no_grad()(step)
