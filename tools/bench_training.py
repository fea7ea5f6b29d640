"What our recipe costs next to the fastai book's resnet18, and what it gains: seconds of training, mistakes, images a second out of the loaders; in turn, in one run."
import argparse, contextlib, io, tempfile, time, warnings
from statistics import median

import torch
from tqdm import tqdm

warnings.filterwarnings('ignore', category=FutureWarning)  # of libraries, about their own insides
from fastai.vision.all import ImageDataLoaders
from xent_course.mnist import Digits, count_mistakes, digit_loaders, load_digits, save_images, train_digits, train_resnet18


def some(digits, n):
    "The first `n` images of each part, or all."
    return Digits(digits.train_images[:n], digits.train_labels[:n], digits.valid_images[:n], digits.valid_labels[:n])


def measure(train):
    "Seconds of training, mistakes on the validation images, and number of weights."
    with contextlib.redirect_stdout(io.StringIO()):  # the tables of each epoch
        start = time.perf_counter()
        learn = train()
        seconds = time.perf_counter() - start
    return seconds, count_mistakes(learn), sum(w.numel() for w in learn.model.parameters())


def images_a_second(dls):
    "How many training images come through an epoch when there is no network to feed."
    start = time.perf_counter()
    return sum(len(y) for _, y in dls.train) / (time.perf_counter() - start)


def compare_loaders(digits, folder, bs, rounds=5):
    "Print each way of loading the same images, and how many times faster than from files it is."
    loaders = {'PNG files, image by image': ImageDataLoaders.from_folder(folder, train='train', valid='valid', bs=bs),
               'tensors, in slices': digit_loaders(digits, bs=bs, augment=False), 'tensors, in slices, moved': digit_loaders(digits, bs=bs)}
    rates = {name: [] for name in loaders}
    for i in range(rounds):
        for name in list(loaders)[::1 if i % 2 == 0 else -1]: rates[name].append(images_a_second(loaders[name]))
    files = rates['PNG files, image by image']
    print(f"\n images a second, median of {rounds}    times the files' [least, most]")
    for name, found in rates.items():
        ratios = [rate / slow for rate, slow in zip(found, files)]
        print(f" {name:26} {median(found):9,.0f} {median(ratios):9.1f} [{min(ratios):.1f}, {max(ratios):.1f}]")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], help='one pair for each (default 0 1 2)')
    parser.add_argument('--images', type=int, help='how many images of each part (default all)')
    args = parser.parse_args()
    digits = some(load_digits(), args.images)
    runs = {'ours': [], 'the book': []}
    with tempfile.TemporaryDirectory() as folder:
        save_images(digits, folder)
        for i, seed in enumerate(tqdm(args.seeds, unit='pair')):
            recipes = {'ours': lambda: train_digits(digits, seed=seed), 'the book': lambda: train_resnet18(folder, seed=seed)}
            for name in list(recipes)[::1 if i % 2 == 0 else -1]: runs[name].append(measure(recipes[name]))
        compare_loaders(digits, folder, bs=min(128, len(digits.train_labels)))
    total = len(digits.valid_labels)
    print(f"\nlearning {len(digits.train_labels)} digits, {torch.get_num_threads()} threads: ours, and the book's resnet18 (one epoch from PNG files)\n\n"
          f"           median of {len(args.seeds)}\n recipe     seconds [least, most]   mistakes of {total}    weights   mistakes of each seed")
    middle = {name: [median(column) for column in zip(*pairs)] for name, pairs in runs.items()}
    for name, (seconds, mistakes, weights) in middle.items():
        each = [s for s, *_ in runs[name]]
        print(f" {name:8} {seconds:9.1f} {f'[{min(each):.1f}, {max(each):.1f}]':>15} {mistakes:18g} {weights:10,.0f}   {[m for _, m, _ in runs[name]]}")
    ratios = [median(book[k] / max(ours[k], 1 if k == 1 else 0) for ours, book in zip(runs['ours'], runs['the book'])) for k in range(3)]
    print(f"\nthe book / ours, median of the pairs: {ratios[0]:.2f} times the seconds, {ratios[1]:.2f} times the mistakes (0 counted as 1), {ratios[2]:.0f} times the weights")


if __name__ == '__main__': main()
