"What our recipe costs and gains next to the fastai book's resnet18, in turn: seconds, errors, images loaded a second."
import argparse, contextlib, io, tempfile, time, warnings
from statistics import median

import torch
from tqdm import tqdm

warnings.filterwarnings('ignore', category=FutureWarning)  # of libraries, about their own insides
from fastai.vision.all import ImageDataLoaders
from xent_course.support.digits import hold_out, load_digits, save_images
from xent_course.support.loaders import digit_loaders
from xent_course.support.resnet18 import train_resnet18
from xent_course.lessons.mnist_3_vs_7 import count_errors, train_digits


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
               'tensors, in slices': digit_loaders(train, valid, bs=bs, augment=False),
               'tensors, in slices, moved': digit_loaders(train, valid, bs=bs)}
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
            recipes = {'ours': lambda: train_digits(train, valid, seed=seed),
                       'the book': lambda: train_resnet18(folder, seed=seed)}
            for name in list(recipes)[::1 if i % 2 == 0 else -1]: runs[name].append(measure(recipes[name]))
        compare_loaders(train, valid, folder, bs=min(128, len(train)))
    print(f"\nlearning {len(train)} digits, {torch.get_num_threads()} threads: "
          "ours, and the book's resnet18 (one epoch from PNG files)\n\n"
          f"           median of {len(args.seeds)}\n"
          f" recipe     seconds [least, most]   errors of {len(valid)}      weights   errors of each seed")
    for name, pairs in runs.items():
        seconds, errors, weights = zip(*pairs)
        spread = f'[{min(seconds):.1f}, {max(seconds):.1f}]'
        print(f" {name:8} {median(seconds):9.1f} {spread:>15} {median(errors):18g} "
              f"{median(weights):10,.0f}   {[*errors]}")
    pairs = list(zip(runs['ours'], runs['the book']))
    seconds, errors, weights = (median(book[k] / max(ours[k], int(k == 1)) for ours, book in pairs) for k in range(3))
    print(f"\nthe book / ours, median of the pairs: {seconds:.2f} times the seconds, "
          f"{errors:.2f} times the errors (0 counted as 1), {weights:.0f} times the weights")


if __name__ == '__main__': main()
