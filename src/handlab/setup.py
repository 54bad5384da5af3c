from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

PACKAGE = "handlab"
MANIFEST = ElementTree.parse(Path(__file__).resolve().parent / "package.xml")

setup(
    name=PACKAGE,
    version=MANIFEST.findtext("version"),
    description="The application: graphs of nodes, the command line, reports and the viewer.",
    maintainer="The handlab developers",
    maintainer_email="maintainers@handlab.example",
    license="Apache-2.0",
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
    entry_points={
        "console_scripts": [
            "handlab = handlab.cli.program:main",
            "emulator_node = handlab.emulation.emulator_node:main",
            "viewer = handlab.graph.viewer_node:main",
        ],
    },
)
