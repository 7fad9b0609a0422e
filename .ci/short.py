"""Import every module and train for a minute on drawn pictures: what is checked on systems where the notebooks are not run.

    python .ci/short.py
"""
import importlib
import pkgutil
import tempfile
from pathlib import Path

import the_project


def main() -> None:
    names = [module.name for module in pkgutil.walk_packages(the_project.__path__, "the_project.")]
    for name in names: importlib.import_module(name)
    from the_project.all import Predictor, Recipe, Stage, export_bundle, read_table, sample_table, split_table, train
    folder = Path(tempfile.mkdtemp())
    table = split_table(read_table(sample_table(folder / "photos", n=72, size=64, species=3)))
    recipe = Recipe(arch="small_cnn", weights=None, stages=(Stage(32, 3), Stage(48, 3)), lr=4e-3, lr_decay=1., mixup=0.)
    run = train(table, recipe, folder / "runs")
    bundle = export_bundle(run, folder / "bundle")
    label, probability = Predictor(bundle).top(table.file.iloc[0], k=1)[0]
    print(f"{len(names)} modules import; one training, one bundle, one answer: {label} {probability:.2f}")


if __name__ == "__main__": main()  # workers and subprocesses import this file again
