"Import every module of the installed wheel; optional and slow libraries must stay unloaded, beside fastai's."
import importlib
import importlib.util
import pkgutil
import subprocess
import sys

for name in ("wandb", "tensorboard", "pytorch_optimizer"):
    if importlib.util.find_spec(name):
        sys.exit(f"{name} is installed: this check wants an environment without the extras")
import the_project

if "site-packages" not in the_project.__file__: sys.exit(f"imported {the_project.__file__}, not the installed wheel")
names = [module.name for module in pkgutil.walk_packages(the_project.__path__, "the_project.")]
for name in names: importlib.import_module(name)
loaded = {"gradio", "onnx", "onnxruntime", "onnxscript", "albumentations", "sklearn.linear_model"} & set(sys.modules)
if loaded: sys.exit(f"importing the_project loads {', '.join(sorted(loaded))}: import them where they are used")


BESIDE_FASTAI = {"cv2", "timm"}  # what `import the_project.all` may load that fastai does not
code = "import sys, fastai.vision.all; had = set(sys.modules); import the_project.all; print(*(set(sys.modules) - had))"
new = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
before = subprocess.run([sys.executable, "-c", "import sys, fastai.vision.all; print(*sys.modules)"],
                        capture_output=True, text=True, check=True).stdout.split()
known = {name.partition(".")[0] for name in before} | set(sys.stdlib_module_names) | {"the_project"} | BESIDE_FASTAI
more = sorted({name.partition(".")[0] for name in new} - known)
print(f"{len(names)} modules import; the_project.all loads {len(new)} modules beside fastai's {len(before)}")
if more: sys.exit(f"the_project.all also loads {', '.join(more)}: import it where it is used")
