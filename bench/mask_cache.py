"""What the cache of decoded bands and masks saves: CPU time of a training window from files and from the cache.

    python bench/mask_cache.py [--root ../shared/data]

Real data: camvid (JPEG and PNG, window 256), satwater12 (uncompressed int16, 12 bands, 96), burnscar5 (LZW float64, 5
bands, 192). Ratios of files to cache, best of three passes over 16 rows, one process, one thread; "none" is reading
alone, "standard" reading and augmentation.
"""
import argparse
import tempfile
import time
from pathlib import Path

import pandas as pd

from the_project.core.recipe import Recipe, Stage
from the_project.data.masks import MaskRows, mask_classes
from the_project.data.table import read_table



def cost(rows: MaskRows) -> float:
    "CPU milliseconds of a window"
    passes = []
    for epoch in range(4):
        start = time.process_time()
        for row in range(len(rows)): rows.batch([row], epoch)
        passes.append((time.process_time() - start) / len(rows) * 1e3)
    return min(passes[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    root = parser.parse_args().root
    streets = [*pd.read_csv(root / "camvid" / "classes.csv").name.tolist()[:11], "-"]
    for name, size, fields in (("camvid", 256, dict(classes=streets)), ("satwater12", 96, {}), ("burnscar5", 192, {})):
        table = read_table(root / name / "labels.csv")[:16]
        for level in ("none", "standard"):
            recipe = Recipe(task="segment", stages=(Stage(size, 1),), augment=level, **fields)
            labels, spent = mask_classes(table, recipe), []
            prepared = MaskRows.prepared(table, recipe, size, (), ())
            with tempfile.TemporaryDirectory() as folder:
                for cache in (None, folder):
                    rows = MaskRows(table, recipe, labels, prepared, True, cache)
                    if cache:
                        rows.batch(list(range(len(rows))), 0)
                        rows.cache.refresh()
                    spent.append(cost(rows))
            print(f"{name:10} {level:8} files / cache {spent[0] / spent[1]:4.1f}")


if __name__ == "__main__":
    main()
