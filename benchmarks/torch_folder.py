"""How long torchvision's ImageFolder takes to read a folder; prints a line of JSON.

Each picture is opened, resized by its shorter side and cropped to the middle, as the tutorials do
it. The time counts from the first picture asked for, without the imports.
"""

import json
import resource
import sys
import time

import torchvision
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

BATCH = 64


def processor():
    """Return the processor time of this process and of those that it waited for, in seconds."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main():
    """Read the folder that is asked for, once."""
    request = json.loads(sys.argv[1])
    size, jobs = request["size"], request["jobs"]
    steps = [transforms.Resize(size), transforms.CenterCrop(size), transforms.PILToTensor()]
    start, began = time.perf_counter(), processor()
    pictures = datasets.ImageFolder(request["folder"], transforms.Compose(steps))
    # Without workers the loader reads in this process.
    loader = DataLoader(pictures, batch_size=BATCH, num_workers=jobs if jobs > 1 else 0)
    count = sum(len(images) for images, _ in loader)
    seconds = time.perf_counter() - start
    told = {"seconds": seconds, "processor": processor() - began, "count": count}
    print(json.dumps({**told, "torchvision": torchvision.__version__}))


if __name__ == "__main__":
    main()
