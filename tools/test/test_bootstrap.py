import fcntl
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("bootstrap", REPOSITORY / "tools/bootstrap.py")
bootstrap = sys.modules["bootstrap"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(bootstrap)
Place, SetupError = bootstrap.Place, bootstrap.SetupError
WANT = {"environment": "e", "requirements": "r", "workspace": "w", "packages": "p"}


@pytest.fixture
def checkout(tmp_path):
    """A checkout small enough to see through, in a folder whose name is not friendly."""
    root = tmp_path / "my test lab"
    files = {
        "requirements.lock": "numpy==1\n",
        "requirements-ros.lock": "rclpy==1\n",
        "colcon.meta": "{}\n",
        "src/handlab/setup.py": "setup()\n",
        "src/handlab_interfaces/msg/Reward.msg": "float64 value\n",
        "src/handlab_bringup/CMakeLists.txt": "project(x)\n",
        "launch/valve.launch.py": "launch = 1\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


# Fingerprints


def test_digest_sees_names_and_contents_and_nothing_else(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("1")
    b.write_text("2")
    whole = bootstrap.digest([a, b], tmp_path)
    assert bootstrap.digest([b, a], tmp_path) == whole
    a.touch()
    assert bootstrap.digest([a, b], tmp_path) == whole
    a.write_text("2")
    b.write_text("1")
    assert bootstrap.digest([a, b], tmp_path) != whole
    a.write_text("1")
    assert bootstrap.digest([a.rename(tmp_path / "c")], tmp_path) != bootstrap.digest([b], tmp_path)


def test_digest_does_not_depend_on_the_place(tmp_path):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "file").write_text("same")
    one, two = (bootstrap.digest([tmp_path / p / "file"], tmp_path / p) for p in ("one", "two"))
    assert one == two


def test_files_below_leaves_out_what_is_not_installed(tmp_path):
    root = tmp_path / "test"  # only folders below the one asked for are judged by their names
    for name in ("a.msg", "deep/b.msg", "__pycache__/c.pyc", "test/test_d.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    assert bootstrap.files_below(root) == [root / "a.msg", root / "deep/b.msg"]
    assert bootstrap.files_below(tmp_path / "absent") == []


@pytest.mark.parametrize(
    ("name", "text", "changed"),
    [
        ("requirements.lock", "numpy==2\n", {"requirements"}),
        ("requirements-ros.lock", "rclpy==2\n", {"requirements"}),
        ("src/handlab/setup.py", "setup(1)\n", {"packages"}),
        ("src/handlab/setup.cfg", "[x]\n", {"packages"}),
        ("src/handlab_interfaces/msg/Reward.msg", "float32 value\n", {"workspace"}),
        ("src/handlab_interfaces/msg/New.msg", "", {"workspace"}),
        ("src/handlab_bringup/test/test_launch.py", "", set()),
        ("colcon.meta", "{ }\n", {"workspace"}),
        ("launch/new.launch.py", "", {"workspace"}),
        ("launch/valve.launch.py", "launch = 2\n", set()),
        ("README.md", "words\n", set()),
    ],
)
def test_a_change_asks_for_its_own_step(checkout, name, text, changed):
    place = Place(checkout, sourced=False)
    before = bootstrap.fingerprints(place, "3.11")
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text(text)
    after = bootstrap.fingerprints(place, "3.11")
    assert {step for step in before if before[step] != after[step]} == changed


def test_the_environment_is_bound_to_place_python_and_kind(checkout, tmp_path):
    wheels = bootstrap.fingerprints(Place(checkout, sourced=False), "3.11")
    assert bootstrap.fingerprints(Place(checkout, sourced=False), "3.12") != wheels
    assert bootstrap.fingerprints(Place(checkout, sourced=True), "3.11") != wheels
    moved = checkout.rename(tmp_path / "moved")
    again = bootstrap.fingerprints(Place(moved, sourced=False), "3.11")
    assert {step for step in wheels if wheels[step] != again[step]} == {"environment"}


def test_each_distribution_of_ros_has_an_environment_and_a_lock_of_its_own(checkout):
    jazzy, kilted = Place(checkout, False), Place(checkout, False, "kilted")
    assert (jazzy.venv.name, kilted.venv.name) == (".venv", ".venv-kilted")
    assert [lock.name for lock in kilted.locks] == [
        "requirements.lock",
        "requirements-ros-kilted.lock",
    ]
    assert jazzy.locks[1].name == "requirements-ros.lock"
    assert Place(checkout, True, "kilted").locks == jazzy.locks[:1]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"HANDLAB_ROS": "humble"}, "HANDLAB_ROS=humble"),
        ({"ROS_DISTRO": "humble"}, "humble is sourced"),
    ],
)
def test_other_distributions_of_ros_are_refused(variables, said):
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(
        [REPOSITORY / "handlab"], env=environment, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1 and said in done.stderr and "kilted" in done.stderr


@pytest.mark.parametrize(
    ("done", "steps"),
    [
        (WANT, []),
        ({}, list(WANT)),
        ({"environment": "e"}, list(WANT)),
        (WANT | {"environment": "old"}, list(WANT)),
        (WANT | {"requirements": "old"}, ["requirements", "workspace", "packages"]),
        (WANT | {"packages": "old"}, ["packages"]),
        (WANT | {"workspace": "old"}, ["workspace", "packages"]),
        ({k: WANT[k] for k in ("environment", "requirements")}, ["workspace", "packages"]),
    ],
)
def test_pending_is_the_first_stale_step_and_those_after_it(done, steps):
    assert bootstrap.pending(done, WANT) == steps


def test_stamp_comes_back_and_a_broken_one_counts_as_none(tmp_path):
    assert bootstrap.read_stamp(tmp_path) == {}
    bootstrap.write_stamp(tmp_path, WANT)
    assert bootstrap.read_stamp(tmp_path) == WANT
    assert [path.name for path in tmp_path.iterdir()] == [bootstrap.STAMP]
    for broken in ('{"environment": ', "[1]", ""):
        (tmp_path / bootstrap.STAMP).write_text(broken)
        assert bootstrap.read_stamp(tmp_path) == {}


# Steps


def test_build_paths_are_rewritten_once_and_only_there(tmp_path):
    include, site = Path("/usr/include/python3.12"), tmp_path / "my lab/lib/site-packages"
    built = tmp_path / "share/std_msgs/cmake/export.cmake"
    other = tmp_path / "share/std_msgs/cmake/other.cmake"
    built.parent.mkdir(parents=True)
    built.write_text(
        'INCLUDE "/opt/python/cp312-cp312/include/python3.12;'
        '/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include"\n'
    )
    other.write_bytes(b"# /opt/python is not a path of a build, \xff is not UTF-8\r\n")
    before = other.read_bytes()
    assert bootstrap.rewrite_build_paths(tmp_path, include, site) == [built]
    assert built.read_text() == f'INCLUDE "{include};{site}/numpy/_core/include"\n'
    assert other.read_bytes() == before
    assert bootstrap.rewrite_build_paths(tmp_path, include, site) == []


def test_links_into_a_build_folder_that_is_gone_do_not_stop_the_setup(tmp_path):
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "ours.cmake").symlink_to(tmp_path / "colcon-build" / "ours.cmake")
    assert bootstrap.rewrite_build_paths(tmp_path, Path("i"), Path("s")) == []


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("OSError: [Errno 28] No space left on device", "disk"),
        (
            "WARNING: Retrying ... NewConnectionError(...)\n"
            "ERROR: No matching distribution found for numpy==1",
            "index cannot be reached",
        ),
        ("ERROR: No matching distribution found for ros-rclpy==1", "HANDLAB_PYTHON"),
        ("fatal error: Python.h: No such file or directory", "python3-dev"),
        ("-- Found Python3: /usr/bin/python3 components: Development.Module", "begin from nothing"),
        ("[Errno 13] Permission denied: '/x'", "cannot be written"),
    ],
)
def test_every_failure_names_its_remedy(output, word):
    assert word in bootstrap.remedy(output)


def test_missing_tools_are_named_as_packages(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bootstrap.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(bootstrap, "find_spec", lambda _: None)
    wheels, sourced = Place(tmp_path, sourced=False), Place(tmp_path, sourced=True)
    build = ["cmake", "make", "g++", "python3-dev"]
    assert bootstrap.missing_packages(wheels, ["workspace"]) == build
    assert bootstrap.missing_packages(wheels, list(WANT)) == [*build, "python3-venv"]
    assert "python3-colcon-common-extensions" in bootstrap.missing_packages(sourced, ["workspace"])


def test_tools_see_the_sourced_ros_or_none(checkout, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/opt/ros/lib")
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros")
    sourced = bootstrap.tool_environment(Place(checkout, sourced=True))
    assert (sourced["PYTHONPATH"], sourced["AMENT_PREFIX_PATH"]) == ("/opt/ros/lib", "/opt/ros")
    place = Place(checkout, sourced=False)
    wheels = bootstrap.tool_environment(place)
    assert "PYTHONPATH" not in wheels
    assert wheels["AMENT_PREFIX_PATH"] == wheels["CMAKE_PREFIX_PATH"] == str(place.venv)
    assert wheels["PATH"].startswith(f"{place.venv}/bin:")


def test_a_failing_tool_is_reported_with_its_words_and_a_remedy(checkout, capsys):
    place = Place(checkout, sourced=False)
    place.venv.mkdir()
    script = "echo 'ERROR: No matching distribution found for x'; exit 3"
    with pytest.raises(SetupError, match="HANDLAB_PYTHON"):
        bootstrap.run(["sh", "-c", script], place, {})
    assert "No matching distribution found for x" in capsys.readouterr().err


def test_the_remedy_is_for_this_failure_and_not_for_an_older_one(checkout):
    place = Place(checkout, sourced=False)
    place.venv.mkdir()
    (place.venv / bootstrap.LOG).write_text("No matching distribution found for x\n")
    with pytest.raises(SetupError, match=re.escape(bootstrap.NO_REMEDY)):
        bootstrap.run(["false"], place, {})


def test_an_environment_of_somebody_else_is_left_alone(checkout):
    place = Place(checkout, sourced=False)
    theirs = place.venv / "bin/python"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    with pytest.raises(SetupError, match="move it away"):
        bootstrap.make_environment(place)
    assert theirs.read_text() == "theirs"


# The whole


@pytest.fixture
def steps_run(monkeypatch):
    """Steps that only write down their names; `fails` among them raises, once."""
    names: list[str] = []
    fails: set[str] = set()

    def fake(name):
        def step(place):
            names.append(name)
            place.venv.mkdir(exist_ok=True)
            if name in fails:
                fails.remove(name)
                raise SetupError(name)

        return step

    for name in bootstrap.STEPS:
        monkeypatch.setitem(bootstrap.STEPS, name, fake(name))
    monkeypatch.setattr(bootstrap, "missing_packages", lambda *_: [])
    monkeypatch.setattr(bootstrap, "ask_python", lambda *_: bootstrap.running_version())
    return names, fails


def test_a_second_start_has_nothing_to_do(checkout, steps_run):
    names, _ = steps_run
    place = Place(checkout, sourced=False)
    assert not bootstrap.up_to_date(place)
    bootstrap.set_up(place)
    assert names == list(bootstrap.STEPS)
    assert bootstrap.up_to_date(place)
    bootstrap.set_up(place)
    assert names == list(bootstrap.STEPS)


@pytest.mark.parametrize(
    ("failing", "next_start"),
    [
        ("environment", ["environment", "requirements", "workspace", "packages"]),
        ("requirements", ["environment", "requirements", "workspace", "packages"]),
        ("packages", ["packages"]),
        ("workspace", ["workspace", "packages"]),
    ],
)
def test_an_interrupted_set_up_is_taken_up(checkout, steps_run, failing, next_start):
    names, fails = steps_run
    place = Place(checkout, sourced=False)
    fails.add(failing)
    with pytest.raises(SetupError):
        bootstrap.set_up(place)
    assert not bootstrap.up_to_date(place)
    names.clear()
    bootstrap.set_up(place)
    assert names == next_start
    assert bootstrap.up_to_date(place)


def test_only_a_complete_build_is_continued(checkout, steps_run):
    _, fails = steps_run
    place = Place(checkout, sourced=False)
    bootstrap.set_up(place)
    objects = place.venv / "colcon-build/objects"
    objects.mkdir(parents=True)
    message = checkout / "src/handlab_interfaces/msg/Reward.msg"
    message.write_text("float32 value\n")
    fails.add("workspace")
    with pytest.raises(SetupError):
        bootstrap.set_up(place)
    assert objects.exists()  # the start that continued the complete build
    bootstrap.set_up(place)
    assert not objects.exists()  # the start after the one that failed


def test_missing_tools_stop_the_set_up_before_it_begins(checkout, steps_run, monkeypatch):
    names, _ = steps_run
    monkeypatch.setattr(bootstrap, "missing_packages", lambda *_: ["cmake", "g++"])
    with pytest.raises(SetupError, match=re.escape("sudo apt install cmake g++")):
        bootstrap.set_up(Place(checkout, sourced=False))
    assert names == []
    assert not (checkout / ".venv").exists()


# Groups


@pytest.mark.parametrize(
    ("words", "groups"),
    [
        (["demo"], set()),
        (["train", "valve"], set()),
        (["train", "adroit_door", "--demos", "D4RL/door/human-v2"], {"adroit"}),
        (["evaluate", "runs/2026-adroit_pen-dapg-s0"], {"adroit"}),
        (["bench", "adroit", "--write"], {"adroit"}),
        (["export", "runs/x"], {"onnx"}),
        (["evaluate", "policies/valve.onnx"], {"onnx"}),
        (["demo", "--pretrained"], {"onnx"}),
        (["bench", "pretrained"], {"onnx"}),
        (["bench", "wall"], {"test"}),
        (["test", "-q", "a.py"], set(bootstrap.GROUPS)),
        (["export", "--help"], set()),
        ([], set()),
    ],
)
def test_a_command_line_asks_for_the_packages_of_its_verb(words, groups):
    assert set(bootstrap.groups_for(words)) == groups


@pytest.fixture
def groups_installed(monkeypatch):
    """Names of the groups that are installed, in this order; nothing is installed."""
    names: list[str] = []
    monkeypatch.setattr(bootstrap, "install_group", lambda _, group: names.append(group))
    return names


def test_a_group_is_installed_once_when_a_verb_asks_for_it(checkout, steps_run, groups_installed):
    place = Place(checkout, sourced=False)
    for group in bootstrap.GROUPS:
        place.group_lock(group).write_text(f"{group}==1\n")
    bootstrap.set_up(place, ["demo"])
    assert groups_installed == [] and bootstrap.up_to_date(place, ["demo"])
    assert not bootstrap.up_to_date(place, ["export", "run"])
    bootstrap.set_up(place, ["export", "run"])
    bootstrap.set_up(place, ["export", "run"])
    assert groups_installed == ["onnx"] and bootstrap.up_to_date(place, ["export", "run"])
    place.group_lock("onnx").write_text("onnx==2\n")
    assert bootstrap.up_to_date(place, ["demo"])
    bootstrap.set_up(place, ["test"])
    assert groups_installed == ["onnx", *bootstrap.GROUPS]


def test_a_build_keeps_the_groups_and_new_requirements_do_not(
    checkout, steps_run, groups_installed
):
    place = Place(checkout, sourced=False)
    place.group_lock("onnx").write_text("onnx==1\n")
    bootstrap.set_up(place, ["export"])
    (checkout / "colcon.meta").write_text("{ }\n")
    bootstrap.set_up(place)
    assert bootstrap.up_to_date(place, ["export"])
    (checkout / "requirements.lock").write_text("numpy==2\n")
    bootstrap.set_up(place)
    assert not bootstrap.up_to_date(place, ["export"])


def test_a_group_that_cannot_be_installed_is_asked_for_again(checkout, steps_run, monkeypatch):
    place = Place(checkout, sourced=False)
    place.group_lock("onnx").write_text("onnx==1\n")

    def fails(*_):
        raise SetupError("no network")

    monkeypatch.setattr(bootstrap, "install_group", fails)
    with pytest.raises(SetupError):
        bootstrap.set_up(place, ["export"])
    assert bootstrap.up_to_date(place, ["demo"]) and not bootstrap.up_to_date(place, ["export"])


def test_packages_that_are_there_in_their_versions_are_not_installed_again(checkout):
    place = Place(checkout, sourced=False)
    site = place.venv / "lib/python3.11/site-packages"
    for name in ("numpy-1.dist-info", "rclpy-1+cpu.dist-info", "half_made-1.dist-info"):
        (site / name).mkdir(parents=True)
    for name in ("numpy-1", "rclpy-1+cpu"):
        (site / f"{name}.dist-info/RECORD").touch()
    assert bootstrap.is_installed(place, place.locks)
    lock = checkout / "requirements.lock"
    for line in ("numpy==2\n", "half-made==1\n", "absent==1\n"):
        lock.write_text(line)
        assert not bootstrap.is_installed(place, place.locks), line
    lock.write_text('# words\nnumpy==1 ; python_version < "3.14"\n')
    assert bootstrap.is_installed(place, place.locks)


def test_a_lock_of_fewer_packages_builds_nothing_again(checkout, steps_run, monkeypatch):
    names, _ = steps_run
    place = Place(checkout, sourced=False)
    bootstrap.set_up(place)
    names.clear()
    monkeypatch.setitem(bootstrap.STEPS, "requirements", lambda _: bootstrap.SAME)
    (checkout / "requirements.lock").write_text("# fewer\n")
    built = place.venv / "colcon-build/handlab_interfaces"  # installed as links to it
    built.mkdir(parents=True)
    bootstrap.set_up(place)
    assert names == [] and bootstrap.up_to_date(place) and built.is_dir()


# Progress


def test_the_progress_of_pip_counts_packages():
    fetched = "Collecting numpy==2 (from -r x)\n  Downloading numpy-2.whl\nProcessing ./torch.whl\n"
    assert bootstrap.pip_progress("", 3, 0) == ""
    assert bootstrap.pip_progress(fetched, 3, 0) == "2 of 3 fetched, now ./torch.whl"
    installing = fetched + "Installing collected packages: numpy, torch\n"
    assert bootstrap.pip_progress(installing, 3, 1) == "1 of 3 installed"
    assert bootstrap.pip_progress(installing, 0, 1) == "1 installed"


def test_the_progress_of_the_build_is_the_percentage_of_the_package():
    output = "Starting >>> handlab_interfaces\n-- Found x\n"
    assert bootstrap.build_progress(output) == ""
    output += "[  3%] Building\n[ 41%] Building\n"
    assert bootstrap.build_progress(output) == "handlab_interfaces 41 %"


def test_a_long_step_shows_lines_of_progress_where_there_is_no_terminal(
    checkout, capsys, monkeypatch
):
    monkeypatch.setattr(bootstrap, "LINE_EVERY", 0.0)
    monkeypatch.setattr(bootstrap, "LOOK_AGAIN", 0.05)
    place = Place(checkout, sourced=False)
    place.venv.mkdir()
    command = ["sh", "-c", "echo 'Collecting numpy==2'; sleep 0.5"]
    look = lambda output: bootstrap.pip_progress(output, 7, 0)  # noqa: E731
    bootstrap.run(command, place, dict(os.environ), "packages", look)
    assert "packages: 1 of 7 fetched, now numpy==2, 0 s" in capsys.readouterr().err


def test_useless_parts_of_packages_are_removed_and_the_others_stay(checkout):
    place = Place(checkout, sourced=False)
    torch = place.venv / "lib/python3.11/site-packages/torch"
    gone = ["include/a.h", "test/b/c", "bin/test_api", "bin/FileStoreTest", "bin/protoc-3.13.0.0"]
    kept = ["lib/libtorch.so", "bin/torch_shm_manager", "testing/__init__.py"]
    for name in (*gone, *kept):
        (torch / name).parent.mkdir(parents=True, exist_ok=True)
        (torch / name).touch()
    bootstrap.remove_useless_parts(place)
    left = {path.relative_to(torch).as_posix() for path in torch.rglob("*") if path.is_file()}
    assert left == set(kept)


def test_equal_libraries_become_links_and_others_stay(tmp_path):
    for name, text in {
        "liba.so.2.14.5": "a", "liba.so.2.14": "a", "liba.so": "a", "libb.so": "a", "libc.so": "c",
        "libc.so.1": "d", "a.txt": "a",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    bootstrap.link_copies(tmp_path)
    links = {path.name: os.readlink(path) for path in tmp_path.iterdir() if path.is_symlink()}
    assert links == {"liba.so.2.14": "liba.so.2.14.5", "liba.so": "liba.so.2.14.5"}
    assert (tmp_path / "libc.so").read_text() == "c"


def test_a_library_that_cannot_be_stripped_stays_as_it_is(checkout):
    place = Place(checkout, sourced=False)
    library = place.venv / "lib/python3.11/site-packages/torch/lib/libtorch_cpu.so"
    library.parent.mkdir(parents=True)
    library.write_text("not a library")
    bootstrap.remove_symbols(place)
    assert library.read_text() == "not a library" and list(library.parent.iterdir()) == [library]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [(["doctor", "--fix"], True), (["doctor", "--json", "--fix"], True), (["doctor"], False),
     (["up", "--fix"], False)],
)  # fmt: skip
def test_only_the_doctor_examines_the_environment_at_its_start(words, wanted):
    assert bootstrap.wants_repair(words) == wanted


def test_the_doctor_makes_a_damaged_environment_again(checkout, steps_run, monkeypatch, capsys):
    names, _ = steps_run
    place = Place(checkout, sourced=False)
    bootstrap.set_up(place)
    names.clear()
    monkeypatch.setattr(bootstrap, "starts", lambda _: False)
    assert bootstrap.up_to_date(place, ["doctor"])
    assert not bootstrap.up_to_date(place, ["doctor", "--fix"])
    bootstrap.set_up(place, ["doctor", "--fix"])
    assert names == list(bootstrap.STEPS) and "damaged" in capsys.readouterr().err


def test_the_lock_is_held_by_one_at_a_time(checkout):
    path = checkout / "requirements.lock"
    with path.open() as other:
        with bootstrap.exclusive(path), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(
    ("raised", "word", "status"),
    [
        (SetupError("install it"), "install it", 1),
        (OSError(28, "No space left on device"), "disk is full", 1),
        (PermissionError(13, "Permission denied"), "cannot be written", 1),
        (KeyboardInterrupt(), "next start", 130),
    ],
)
def test_main_turns_every_end_into_words_and_a_status(monkeypatch, capsys, raised, word, status):
    def ends(*_):
        raise raised

    monkeypatch.setattr(bootstrap, "set_up", ends)
    assert bootstrap.main("set-up", REPOSITORY, sourced=False) == status
    assert word in capsys.readouterr().err


# The files that the set-up is made from


def names_in(path: Path) -> list[str]:
    """Return the normalised names of the requirements in a file."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines)
    return [re.sub(r"[-_.]+", "-", name[0]).lower() for name in names if name]


EXACT = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; python_version < \"[0-9.]+\")?")


def test_the_locks_name_one_version_of_everything_asked_for():
    groups = [f"-{group}" for group in bootstrap.GROUPS]
    locks = {kind: REPOSITORY / f"requirements{kind}.lock" for kind in ("", "-ros", *groups)}
    base = names_in(locks[""])
    locked = [name for lock in locks.values() for name in names_in(lock)]
    assert len(locked) == len(set(locked))
    for lock in locks.values():
        assert set(names_in(lock.with_suffix(".in"))) <= {*base, *names_in(lock)}, lock
        lines = lock.read_text().splitlines()
        assert [x for x in lines if not x.startswith("#") and not EXACT.fullmatch(x)] == []


def test_another_ros_is_refused_by_name():
    script = [REPOSITORY / "handlab", "--help"]
    done = subprocess.run(
        script,
        env={"ROS_DISTRO": "humble", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "humble" in done.stderr
    assert done.stdout == ""
