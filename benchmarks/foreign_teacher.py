"""A teacher as others train one: torchvision's ImageFolder, DataLoader and ResNet, and nothing of kdlab in it.

    python benchmarks/foreign_teacher.py --data PATH --out teacher.pth --epochs 12 --size 48

PATH holds train/CLASS/* and test/CLASS/*. What is saved is what many training scripts leave: `state_dict` with the
prefix `module.` of DataParallel, beside the epoch and the accuracy. The pictures are scaled to --size and normalized
with ImageNet's mean and std, so a reader of the file has to know both.
"""

import argparse
import time

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, models, transforms

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as most scripts have them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    torch.manual_seed(0)
    plain = [transforms.Resize(given.size), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    varied = [transforms.RandomCrop(32, padding=4, padding_mode="reflect"), transforms.RandomHorizontalFlip(), *plain]
    train = datasets.ImageFolder(f"{given.data}/train", transforms.Compose(varied))
    test = datasets.ImageFolder(f"{given.data}/test", transforms.Compose(plain))
    feed = dict(num_workers=given.workers, persistent_workers=given.workers > 0)
    batches = DataLoader(train, batch_size=128, shuffle=True, drop_last=True, **feed)
    model = nn.DataParallel(models.resnet18(num_classes=len(train.classes)).to(memory_format=torch.channels_last))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=given.epochs * len(batches))
    for epoch in range(given.epochs):
        begun = time.perf_counter()
        model.train()
        for images, labels in batches:
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(images.contiguous(memory_format=torch.channels_last))
            loss = nn.functional.cross_entropy(logits.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        accuracy = tested(model, DataLoader(test, batch_size=500, num_workers=given.workers))
        print(f"epoch {epoch + 1}: {accuracy:.4f}, {time.perf_counter() - begun:.0f} s", flush=True)
        state = {"epoch": epoch + 1, "arch": "resnet18", "state_dict": model.state_dict(), "accuracy": accuracy}
        torch.save(state, given.out)


@torch.no_grad()
def tested(model: nn.Module, batches: DataLoader) -> float:
    """The share of pictures that the model gets right."""
    model.eval()
    right = [(model(images).argmax(1) == labels).float() for images, labels in batches]
    return torch.cat(right).mean().item()


if __name__ == "__main__":
    main()
