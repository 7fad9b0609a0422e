"Import every module of the installed wheel; optional and slow libraries must stay unloaded, and the import must cost little more than fastai's."
import importlib
import importlib.util
import pkgutil
import subprocess
import sys
import time

for name in ("wandb", "tensorboard", "pytorch_optimizer"):
    if importlib.util.find_spec(name): sys.exit(f"{name} is installed: this check wants an environment without the extras")
import the_project

if "site-packages" not in the_project.__file__: sys.exit(f"imported {the_project.__file__}, not the installed wheel")
names = [module.name for module in pkgutil.walk_packages(the_project.__path__, "the_project.")]
for name in names: importlib.import_module(name)
loaded = {"gradio", "onnx", "onnxruntime", "onnxscript", "albumentations", "sklearn.linear_model"} & set(sys.modules)
if loaded: sys.exit(f"importing the_project loads {', '.join(sorted(loaded))}: import them where they are used")


def seconds(statement: str) -> float:
    "Best of three processes: CPU seconds of an import"
    code = f"import time; {statement}; print(time.process_time())"
    return min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) for _ in range(3))


begun = time.monotonic()
ours, fastai = seconds("import the_project.all"), seconds("import fastai.vision.all")
print(f"{len(names)} modules import; the_project.all {ours:.1f} s of CPU, fastai.vision.all {fastai:.1f} s")
if ours > fastai + 1.0: sys.exit(f"the_project.all costs {ours - fastai:.1f} s more than fastai: 0.5 is meant, 1.0 is the alarm")
