"What our recipe costs next to the fastai book's resnet18, and what it gains: seconds of training, errors, images a second out of the loaders; in turn, in one run."
import argparse, contextlib, io, tempfile, time, warnings
from statistics import median

import torch
from tqdm import tqdm

warnings.filterwarnings('ignore', category=FutureWarning)  # of libraries, about their own insides
from fastai.vision.all import ImageDataLoaders
from xent_course.compare import train_resnet18
from xent_course.digits import hold_out, load_digits, save_images
from xent_course.loaders import digit_loaders
from xent_course.mnist import count_errors, train_digits


def measure(train):
    "Seconds of training, errors on the validation images, and number of weights."
    with contextlib.redirect_stdout(io.StringIO()):  # the tables of each epoch
        start = time.perf_counter()
        learn = train()
        seconds = time.perf_counter() - start
    return seconds, count_errors(learn), sum(w.numel() for w in learn.model.parameters())


def images_a_second(dls):
    "How many training images come through an epoch when there is no network to feed."
    start = time.perf_counter()
    return sum(len(y) for _, y in dls.train) / (time.perf_counter() - start)


def compare_loaders(train, valid, folder, bs, rounds=5):
    "Print each way of loading the same images, and how many times faster than from files it is."
    loaders = {'PNG files, image by image': ImageDataLoaders.from_folder(folder, train='train', valid='valid', bs=bs),
               'tensors, in slices': digit_loaders(train, valid, bs=bs, augment=False), 'tensors, in slices, moved': digit_loaders(train, valid, bs=bs)}
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
    train, valid = (digits[:args.images] for digits in hold_out(load_digits()[0]))
    runs = {'ours': [], 'the book': []}
    with tempfile.TemporaryDirectory() as folder:
        save_images(train, valid, folder)
        for i, seed in enumerate(tqdm(args.seeds, unit='pair')):
            recipes = {'ours': lambda: train_digits(train, valid, seed=seed), 'the book': lambda: train_resnet18(folder, seed=seed)}
            for name in list(recipes)[::1 if i % 2 == 0 else -1]: runs[name].append(measure(recipes[name]))
        compare_loaders(train, valid, folder, bs=min(128, len(train)))
    total = len(valid)
    print(f"\nlearning {len(train)} digits, {torch.get_num_threads()} threads: ours, and the book's resnet18 (one epoch from PNG files)\n\n"
          f"           median of {len(args.seeds)}\n recipe     seconds [least, most]   errors of {total}      weights   errors of each seed")
    middle = {name: [median(column) for column in zip(*pairs)] for name, pairs in runs.items()}
    for name, (seconds, errors, weights) in middle.items():
        each = [s for s, *_ in runs[name]]
        print(f" {name:8} {seconds:9.1f} {f'[{min(each):.1f}, {max(each):.1f}]':>15} {errors:18g} {weights:10,.0f}   {[m for _, m, _ in runs[name]]}")
    ratios = [median(book[k] / max(ours[k], 1 if k == 1 else 0) for ours, book in zip(runs['ours'], runs['the book'])) for k in range(3)]
    print(f"\nthe book / ours, median of the pairs: {ratios[0]:.2f} times the seconds, {ratios[1]:.2f} times the errors (0 counted as 1), {ratios[2]:.0f} times the weights")


if __name__ == '__main__': main()
