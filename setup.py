"Reads settings.ini: metadata, requirement lists and the console script live there, once."
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.sdist import sdist

here = Path(__file__).parent
config = ConfigParser(delimiters=["="], interpolation=None)
config.read(here / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]


def lines(key: str) -> list[str]:
    "The non-empty lines of a multi-line setting."
    return [line.strip() for line in cfg.get(key, "").splitlines() if line.strip()]


class SdistWithSettings(sdist):
    "A source distribution must carry settings.ini, which setup.py reads; this spares a MANIFEST.in."

    def make_distribution(self):
        self.filelist.append("settings.ini")
        super().make_distribution()


version = re.search(r'__version__ = "([^"]+)"', (here / cfg["version_from"]).read_text(encoding="utf-8"))[1]

setup(
    name=cfg["lib_name"], version=version, description=cfg["description"], author=cfg["author"], license=cfg["license"],
    keywords=cfg["keywords"], long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown", packages=find_packages(include=["the_project", "the_project.*"]),
    include_package_data=True, package_data={"the_project": ["py.typed", "**/*.json", "**/*.html", "**/*.css",
                                                             "**/*.js", "**/*.svg"]},
    cmdclass={"sdist": SdistWithSettings}, python_requires=f">={cfg['min_python']}",
    install_requires=lines("requirements"),
    extras_require={name: lines(f"{name}_requirements") for name in cfg["extras"].split()},
    entry_points={"console_scripts": lines("console_scripts"), "nbdev": ["the_project=the_project._modidx:d"]},
    classifiers=["Programming Language :: Python :: 3", "Programming Language :: Python :: 3.11",
                 "Programming Language :: Python :: 3.12", "Programming Language :: Python :: 3.13", "Typing :: Typed",
                 "Topic :: Scientific/Engineering :: Artificial Intelligence"],
)
