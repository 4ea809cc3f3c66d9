"""What a module is built against, as it is installed: headers, prong.pc, the template, the examples."""

import hashlib
import os
import re
import shutil
import signal
import subprocess

import pytest

import harness
from harness import LIMIT, is_gone, toml, wait_until
from limits import PRONGD, TOP
from modules import BUILD, EXAMPLES

# Of the header of ABI 1, which modules were built against (test/modules/abi/module-1.h): from the release with it on it never
# changes any more. Until then it is a copy of include/prong/module.h.
FIRST_HEADER = "9b3e4944c553e5f7bebe448a50a3ec7211d86db0f8007c78ba7e60e7ce1b2d17"
WARNINGS = "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"
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
@pytest.mark.parametrize("place", ["namespace company::prong {", "namespace {"])
def test_a_module_is_found_in_whatever_namespace_it_stands(installed, tmp_path, place):
    """And although the rest of the library is hidden."""
    environment, _ = installed
    (tmp_path / "shop.cpp").write_text(f"""
#include <prong/module.hpp>
{place}
PRONG_HTTP_MODULE(shop, ::prong::Model::kThread) {{
  ::prong::on_request([](const ::prong::Request&, ::prong::Response& response) {{ response.text(200, "open"); }});
}}
}}
""")
    for compiler in filter(shutil.which, ("g++", "clang++-19")):
        shell(f"{compiler} -std=c++17 {WARNINGS} -shared -fPIC -fvisibility=hidden $(pkg-config --cflags prong) shop.cpp "
              "-o shop.so", environment, tmp_path)
        assert " prong_module_entry\n" in shell("nm -D --defined-only shop.so", environment, tmp_path)


@ONCE
@pytest.mark.parametrize("flags, line, complaint", [
    ("-fno-exceptions", "", "prong/module.hpp needs exceptions"),
    ("", "void keep(const prong::Request& request) { prong::Request copy = request; }", "deleted"),
    ("", "void begin() { prong::on_request([](int) {}); }", "the function cannot be called with what prongd gives it")])
def test_what_cannot_be_is_refused_by_the_compiler_in_plain_words(installed, tmp_path, flags, line, complaint):
    environment, _ = installed
    (tmp_path / "shop.cpp").write_text(f"#include <prong/module.hpp>\n{line}\n")
    for compiler in filter(shutil.which, ("g++", "clang++-19")):
        done = subprocess.run(f"{compiler} -std=c++17 {flags} -fsyntax-only $(pkg-config --cflags prong) shop.cpp",
                              shell=True, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode != 0 and complaint in done.stderr, done.stderr


# What stands around the pieces of code in the guide.
BEFORE_SNIPPETS = """
#include <prong/module.hpp>
#include <thread>
namespace {
[[maybe_unused]] std::string thumbnail(const std::string& picture) { return picture; }
}  // namespace
"""


def module_of_snippet(code):
    if "PRONG_" in code.replace("PRONG_READABLE", ""):
        return code
    outside, _, inside = code.rpartition("}  // namespace\n")
    if "response." in inside and "prong::Response&" not in inside:
        inside = f"prong::on_request([](const prong::Request&, prong::Response& response) {{\n{inside}\n}});"
    return f"""{BEFORE_SNIPPETS}{outside}{"}" if outside else ""}
PRONG_HTTP_MODULE(snippet) {{
  [[maybe_unused]] const auto begin = std::chrono::steady_clock::now();
{inside}
}}
"""


@ONCE
def test_every_piece_of_code_in_the_guide_compiles(installed, tmp_path):
    environment, _ = installed
    snippets = re.findall(r"^```cpp\n(.*?)^```", (TOP / "docs/modules.md").read_text(), re.M | re.S)
    assert len(snippets) > 5
    for snippet in snippets:
        (tmp_path / "snippet.cpp").write_text(module_of_snippet(snippet))
        shell("g++ -std=c++17 -Wall -Wextra -Werror -Wno-unused-variable -fsyntax-only $(pkg-config --cflags prong) "
              "snippet.cpp", environment, tmp_path)


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
    assert (prefix / "share/doc/prongd/modules.md").read_bytes() == (TOP / "docs/modules.md").read_bytes()
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


@pytest.mark.parametrize("number, status", [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143), (None, 1)])
def test_the_templates_test_ends_its_prongd_whatever_ends_it(session, number, status):
    """None: prongd is not ready in time."""
    tools = session.folder / "tools"
    tools.mkdir()
    # prongd runs nothing but itself: what it had begun when it is killed would stay behind.
    for name, text in {"prongd": f"echo $$ >{session.folder}/pid\nexec tail -f /dev/null",
                       "sleep": "exit 0" if number is None else "exec /bin/sleep 0.01"}.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    folder = session.folder / "temporary"
    folder.mkdir()
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "PRONGD": "prongd", "TMPDIR": str(folder)}
    def heed_signals():
        # Who runs these tests may ignore some (nohup, a shell's &), and no shell can trap what was ignored before.
        for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(ignored, signal.SIG_DFL)

    told = session.folder / "pid"
    with subprocess.Popen([TOP / "conf/module-template/test/answers.sh", EXAMPLES / "hello.so"], env=environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          preexec_fn=heed_signals) as answers:
        wait_until(lambda: told.exists() and told.read_text().endswith("\n"), "its prongd")
        pid = int(told.read_text())
        if number is not None:
            answers.send_signal(number)
        assert answers.wait(LIMIT) == status
    assert is_gone(pid)
    assert not list(folder.iterdir())


def test_a_module_is_served_by_one_option(session):
    daemon = session.start(arguments=["--module", EXAMPLES / "hello.so", "--listen", "127.0.0.1:0"])
    assert shell("curl -s 'http://{}:{}/'".format(*daemon.address("hello")), os.environ, session.folder) == "hello world"
