"""What a module is built against, as it is installed: headers, prong.pc, the template, the examples."""

import hashlib
import os
import shutil
import subprocess

import pytest

import harness
from harness import LIMIT, toml
from limits import PRONGD, TOP
from modules import BUILD, EXAMPLES

# Of the header of ABI 1, which modules were built against (test/modules/abi/module-1.h): from the release with it on it never
# changes any more. Until then it is a copy of include/prong/module.h.
FIRST_HEADER = "f3f667e26b73f6f685dcb2ef7aaf39453d861ca4d8eb6f0b619f33fcd2badb41"
WARNINGS = "-Wall -Wextra -Wpedantic -Werror"
# What a compiler says does not depend on how prongd was built.
ONCE = pytest.mark.skipif(harness.is_sanitized(), reason="the same for both builds")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The environment of one who has installed prongd's development files below a folder, and the folder of its prefix."""
    folder = tmp_path_factory.mktemp("installed")
    done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--tags", "devel", "--destdir", folder],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    described, = folder.rglob("prong.pc")
    variables = {"PKG_CONFIG_PATH": str(described.parent), "PKG_CONFIG_SYSROOT_DIR": str(folder), "PRONGD": PRONGD,
                 "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1"}
    return os.environ | variables, next(folder.rglob("module.hpp")).parents[2]


def shell(command, environment, folder):
    done = subprocess.run(["sh", "-euc", command], env=environment, cwd=folder, capture_output=True, text=True,
                          timeout=4 * LIMIT, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_a_module_is_built_by_the_line_of_the_documents(installed, tmp_path):
    environment, prefix = installed
    shutil.copy(prefix / "share/doc/prongd/examples/hello.cpp", tmp_path)
    shell("g++ -shared -fPIC $(pkg-config --cflags prong) hello.cpp -o hello.so", environment, tmp_path)
    symbols = shell("nm -DC --defined-only --extern-only hello.so", environment, tmp_path)
    assert " prong_module_entry\n" in symbols
    assert "prong::" not in symbols  # libraries that are built with different versions of the header share nothing of it


@ONCE
@pytest.mark.parametrize("compiler", ["g++ -std=c++17", "g++ -std=c++20 -O2", "clang++-19 -std=c++17",
                                      "clang++-19 -std=c++20"])
def test_every_example_compiles_without_a_warning(installed, tmp_path, compiler):
    if shutil.which(compiler.split()[0]) is None:
        pytest.skip(f"no {compiler.split()[0]}")
    environment, prefix = installed
    for source in sorted((prefix / "share/doc/prongd/examples").glob("*.cpp")):
        shell(f"{compiler} {WARNINGS} -shared -fPIC $(pkg-config --cflags prong) {source} -o module.so", environment,
              tmp_path)


@ONCE
def test_classes_of_a_module_that_contain_what_the_sdk_gives_bring_no_warning(installed, tmp_path):
    environment, _ = installed
    (tmp_path / "shop.cpp").write_text("""
#include <prong/module.hpp>
namespace shop {
struct Clock { prong::Timer timer; };
class Order : public prong::Upload {
 public:
  bool piece(std::string_view) override { return true; }
  void finish(const prong::Request&, prong::Response& response) override { response.text(200, "ordered"); }
};
}  // namespace shop
shop::Clock the_clock;
PRONG_HTTP_MODULE(shop) {
  prong::on_upload([](const prong::Request&) { return std::make_unique<shop::Order>(); });
  prong::on_request([](const prong::Request&, prong::Response& response) { response.text(200, "open"); });
}
""")
    for compiler in filter(shutil.which, ("g++", "clang++-19")):
        shell(f"{compiler} -std=c++17 {WARNINGS} -shared -fPIC $(pkg-config --cflags prong) shop.cpp -o shop.so",
              environment, tmp_path)


@ONCE
@pytest.mark.parametrize("compiler", ["gcc -std=c99", "gcc -std=c17 -O2", "clang-19 -std=c99"])
def test_the_c_example_compiles_without_a_warning(installed, tmp_path, compiler):
    if shutil.which(compiler.split()[0]) is None:
        pytest.skip(f"no {compiler.split()[0]}")
    environment, prefix = installed
    shell(f"{compiler} {WARNINGS} -shared -fPIC $(pkg-config --cflags prong) "
          f"{prefix}/share/doc/prongd/examples/hello.c -o module.so", environment, tmp_path)


def test_the_header_of_the_first_abi_is_what_it_was():
    text = (TOP / "test/modules/abi/module-1.h").read_bytes()
    assert hashlib.sha256(text).hexdigest() == FIRST_HEADER


def test_what_is_installed_is_what_the_tests_run(installed):
    _, prefix = installed
    for path in (prefix / "share/doc/prongd/examples").iterdir():
        assert path.read_bytes() == (TOP / "docs/examples" / path.name).read_bytes()
    assert {path.stem for path in (TOP / "docs/examples").glob("*.cpp")} <= {path.stem for path in EXAMPLES.glob("*.so")}


def test_the_template_builds_and_its_test_passes(session, installed):
    """Word for word what its README says."""
    environment, prefix = installed
    environment = environment | session.environment
    shell(f"cp -r {prefix}/share/prongd/module-template greeter", environment, session.folder)
    folder = session.folder / "greeter"
    shell("meson setup build && meson compile -C build", environment, folder)
    shell("meson test -C build --print-errorlogs", environment, folder)
    # And with its own configuration, on a port that is free.
    text = (folder / "prongd.toml").read_text().replace('"127.0.0.1:8080"', '"127.0.0.1:0"')
    (session.folder / "prongd.toml").write_text(text)
    daemon = session.start(text.replace('"build/greeter.so"', toml(folder / "build/greeter.so")))
    answer = shell("curl -s 'http://{}:{}/?name=you'".format(*daemon.address("greeter")), environment, folder)
    assert answer == "hello you\n"


def test_a_module_is_served_by_one_option(session):
    daemon = session.start(arguments=["--module", EXAMPLES / "hello.so", "--listen", "127.0.0.1:0"])
    assert shell("curl -s 'http://{}:{}/'".format(*daemon.address("hello")), os.environ, session.folder) == "hello world"
