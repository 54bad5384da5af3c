from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

PACKAGE = "handlab_nodes"
MANIFEST = ElementTree.parse(Path(__file__).resolve().parent / "package.xml")

setup(
    name=PACKAGE,
    version=MANIFEST.findtext("version"),
    description="The ROS 2 nodes: thin sockets around the core.",
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
            "container = handlab_nodes.runtime.container:main",
            "driver_node = handlab_nodes.nodes.driver_node:main",
            "camera_node = handlab_nodes.nodes.camera_node:main",
            "estimator_node = handlab_nodes.nodes.estimator_node:main",
            "reward_node = handlab_nodes.nodes.reward_node:main",
            "reset_node = handlab_nodes.nodes.reset_node:main",
            "runner_node = handlab_nodes.nodes.runner_node:main",
            "learner_node = handlab_nodes.nodes.learner_node:main",
            "demonstrator_node = handlab_nodes.nodes.demonstrator_node:main",
            "teacher_node = handlab_nodes.nodes.teacher_node:main",
            "replay_node = handlab_nodes.nodes.replay_node:main",
            "recorder_node = handlab_nodes.nodes.recorder_node:main",
            "scene_node = handlab_nodes.nodes.scene_node:main",
        ],
    },
)
