from pathlib import Path

from targets_py import (
    tar_config_set,
    tar_exist_script,
    tar_path_script,
    tar_path_script_support,
    tar_path_store,
    tar_path_target,
    tar_read,
)


def test_paths_of_the_project(project):
    assert tar_path_script() == "_targets.py"
    assert tar_path_script_support() == "_targets_py"
    assert tar_path_store() == "_targets"
    assert tar_path_target("x") == "_targets/objects/x"
    assert tar_path_target() is None
    assert tar_path_target(default="d") == "d"
    assert not tar_exist_script()
    tar_config_set(script="sub/main.py", store="st")
    assert tar_path_script_support() == "sub/main_py"
    assert tar_path_target("x", create_dir=True) == "st/objects/x"
    assert Path("st/objects").is_dir()
    assert tar_path_target("x", store="other") == "other/objects/x"
    Path("s.py").write_text("")
    assert tar_exist_script("s.py")


def test_paths_in_targets(project):
    project.make("""
    from pathlib import Path
    def write():
        path = str(tar_path_target())
        Path("f.txt").write_text(path)
        return "f.txt"
    pipeline = [
        tar_target("x", lambda: tar_path_target()),
        tar_target("f", write, format="file"),
        tar_target("y", lambda x: tar_path_target(), pattern=map("x")),
    ]
    """)
    assert tar_read("x").endswith("_targets/objects/x")
    assert Path("f.txt").read_text() == "None"
    assert Path(tar_read("y")[0]).name.startswith("y_")
