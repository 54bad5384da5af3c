"""Hand package.xml to setuptools; this file is the same in every package.

Programs stand in setup.cfg, under `options.entry_points`.
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

MANIFEST = ElementTree.parse(Path(__file__).resolve().parent / "package.xml").getroot()
PACKAGE = MANIFEST.findtext("name")

setup(
    name=PACKAGE,
    version=MANIFEST.findtext("version"),
    description=MANIFEST.findtext("description"),
    maintainer=MANIFEST.findtext("maintainer"),
    maintainer_email=MANIFEST.find("maintainer").attrib["email"],
    license=MANIFEST.findtext("license"),
    python_requires=">=3.11",
    packages=find_packages(exclude=["test"]),
    package_dir={"": "."},
    package_data={PACKAGE: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    zip_safe=False,
    extras_require={"test": ["pytest"]},
)
