"""What the audit finds of faults planted in real photographs: 5 % flipped labels, 5 % strangers, copies, truncated
files.

    python bench/audit_faults.py --data DIR [--weights FILE.safetensors] [--sets flowers monkeys snakes_ph] [--seeds 2]

DIR holds the sets and not_species, each with labels.csv. A row a set and seed: how many files are flagged, precision,
recall, and the precision among as many of the most suspicious as were planted; for copies the share that has its
source's group, and the groups of copies that were not planted (most of them are real: look at them on the page, which
--out keeps). --cleanlab lets cleanlab choose the labels from the same probabilities. 40 CPU seconds a thousand photos
with MobileNet v1.
"""
import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance, ImageOps


def recoloured(picture, rng):
    values = np.array(picture.convert("HSV"))
    values[..., 0] += np.uint8(rng.integers(20, 235))
    return Image.fromarray(values, "HSV").convert("RGB")


def cropped(picture, rng, share=.8):
    (w, h), (x, y) = picture.size, rng.random(2) * (1 - share)
    return picture.crop((round(w * x), round(h * y), round(w * (x + share)), round(h * (y + share))))


WAYS = dict(mirrored=lambda p, r: ImageOps.mirror(p), cropped=cropped, encoded=lambda p, r: p, recoloured=recoloured,
            grey=lambda p, r: p.convert("L").convert("RGB"),
            bright=lambda p, r: ImageEnhance.Brightness(p).enhance(1.5),
            both=lambda p, r: ImageOps.mirror(cropped(p, r)), half=lambda p, r: cropped(p, r, .7))


def plant(data: Path, name: str, folder: Path, seed: int, copies: int = 24, cut: int = 4) -> pd.DataFrame:
    "The set with its faults: file, label, true, fault, source"
    from the_project.data.table import read_table
    from the_project.answer.picture import open_picture
    rng, table = np.random.default_rng(seed), read_table(data/name/"labels.csv")[["file", "label"]]
    labels, n = sorted(table["label"].unique()), len(table)
    table = table.assign(true=table["label"], fault="", source="")
    order = rng.permutation(n)
    flipped, rest = order[:round(.05 * n)], order[round(.05 * n):]
    for row in flipped:
        table.loc[row, ["label", "fault"]] = (
            rng.choice([label for label in labels if label != table["true"][row]]), "label")
    others = rng.permutation(read_table(data/"not_species"/"labels.csv")["file"].to_numpy())[:round(.05 * n)]
    rows = [dict(file=file, label=rng.choice(labels), true="", fault="stranger", source="") for file in others]
    for i, row in enumerate(rest[:copies]):
        file, way = folder/f"copy-{i}.jpg", list(WAYS)[i % len(WAYS)]
        WAYS[way](open_picture(table["file"][row]), rng).save(file, quality=int(rng.integers(50, 95)))
        rows.append(dict(file=str(file), label=table["label"][row], true=table["true"][row], fault="duplicate",
                         source=table["file"][row]))
    for i, row in enumerate(rest[copies:copies + cut]):
        whole, file = Path(table["file"][row]).read_bytes(), folder/f"cut-{i}.jpg"
        file.write_bytes(whole[:int(len(whole) * rng.uniform(.3, .9))])
        rows.append(dict(file=str(file), label=table["label"][row], true=table["true"][row], fault="broken", source=""))
    planted = pd.concat([table, pd.DataFrame(rows)], ignore_index=True)
    return planted.sample(frac=1, random_state=seed).reset_index(drop=True)


def judge(table: pd.DataFrame, rows: pd.DataFrame) -> str:
    rows, parts = rows.set_index("file").loc[table["file"]].reset_index(), []
    for problem in ("broken", "label", "stranger"):
        flagged, planted = rows["problem"].str.split(";").map(lambda words: problem in words), table["fault"] == problem
        right, first = (flagged & planted).sum(), rows["score"].where(flagged, 0).nlargest(planted.sum()).index
        parts.append(f"{problem}: {flagged.sum()} flagged, precision {right / max(flagged.sum(), 1):.2f}, recall "
                     f"{right / planted.sum():.2f}, "
                     f"top {planted[first].mean():.2f}")
    group, copies = rows.set_index("file")["group"], table[table["fault"] == "duplicate"]
    shared = group.value_counts()
    mine = set(group[copies["file"]])
    parts.append(f"copies: recall "
                 f"{np.mean(group[copies['file']].to_numpy() == group[copies['source']].to_numpy()):.2f}, "
                 f"{sum(name not in mine for name in shared.index[shared > 1])} groups not planted")
    return "; ".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--weights")
    parser.add_argument("--sets", nargs="+", default=["flowers", "monkeys", "snakes_ph"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--cleanlab", action="store_true")
    parser.add_argument("--out", type=Path, help="keep each audit's page and CSV there")
    args = parser.parse_args()
    import torch
    torch.set_num_threads(1)
    from the_project.audit.audit import audit_table
    for name in args.sets:
        for seed in range(args.seeds):
            with tempfile.TemporaryDirectory() as folder:
                table = plant(args.data, name, Path(folder), seed)
                audit = audit_table(table[["file", "label"]], args.weights, cleanlab=args.cleanlab, progress=False)
                if args.out: audit.save(args.out/f"{name}-{seed}")
                print(f"{name}, seed {seed}, {len(table):,} files\n  " + judge(table, audit.rows).replace("; ", "\n  "),
                      flush=True)


if __name__ == "__main__": main()
