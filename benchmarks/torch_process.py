"""One recipe in plain PyTorch, timed in this process; prints a line of JSON."""

import json
import sys

import torch
from peer_process import SAMPLE_BATCH, timed
from torch_nets import fixed_z, parameters
from torch_training import Training


def sampler(training):
    """Return a function that makes a batch of images, from numpy to numpy."""
    net = training.generator.eval()
    z = fixed_z(SAMPLE_BATCH, training.recipe["latent"]["dim"]).numpy()
    labels = (torch.arange(SAMPLE_BATCH) % training.classes,) if training.classes else ()

    def sample():
        with torch.no_grad():
            return net(torch.from_numpy(z), *labels).numpy()

    return sample


def main():
    request = json.loads(sys.argv[1])
    torch.set_num_threads(request["threads"])
    training = Training(request["recipe"], request["setting"], request["variant"])
    run = sampler(training) if request["sample"] else training.step
    print(json.dumps({
        **timed(run, request),
        "parameters": [parameters(training.generator), parameters(training.discriminator)],
        "versions": f"PyTorch {torch.__version__}",
    }))  # fmt: skip


if __name__ == "__main__":
    main()
