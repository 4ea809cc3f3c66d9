#include "ctl/top.hpp"

// Functions, not macros that stand for them: curses.h would replace words such as `erase` everywhere.
#define NCURSES_NOMACROS
#include <curses.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "ctl/connection.hpp"
#include "ctl/top_view.hpp"
#include "os/clock.hpp"

namespace prong::ctl {
namespace {

// The operator waits for the keys meanwhile.
constexpr std::chrono::milliseconds kTopPatience{2'000};

// The terminal, from the first line to the last: as it was afterwards. ncurses restores it on INT and TERM as well
// (initscr(3NCURSES)).
class Terminal {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Terminal>> open() {
    if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0)
      return failure("`top` needs a terminal", "`prongctl workers` prints the same once");
    // For what ncurses is to do with UTF-8; the default locale is good when this one is not there.
    (void)std::setlocale(LC_CTYPE, "");
    if (::newterm(nullptr, stdout, stdin) == nullptr) {
      const char* const name = std::getenv("TERM");  // NOLINT(concurrency-mt-unsafe): there is one thread
      return failure(fmt::format("the terminal \"{}\" is not known", name != nullptr ? name : ""),
                     "set TERM, to xterm for example");
    }
    return std::unique_ptr<Terminal>{new Terminal};
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() { ::endwin(); }

  static void draw(const std::vector<TopLine>& lines) {
    ::erase();
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const chtype attributes = attributes_of(lines[i].style);
      ::attron(static_cast<int>(attributes));
      ::mvaddstr(static_cast<int>(i), 0, lines[i].text.c_str());
      ::attroff(static_cast<int>(attributes));
    }
    ::refresh();
  }
  [[nodiscard]] static std::size_t lines() { return static_cast<std::size_t>(std::max(LINES, 1)); }
  [[nodiscard]] static std::size_t columns() { return static_cast<std::size_t>(std::max(COLS, 1)); }
  // ERR: none within that time.
  [[nodiscard]] static int key(std::chrono::milliseconds patience) {
    ::timeout(static_cast<int>(patience.count()));
    return ::getch();
  }

 private:
  static constexpr short kAlarmPair = 1;
  Terminal() {
    ::cbreak();
    ::noecho();
    ::nonl();
    ::keypad(stdscr, true);
    ::curs_set(0);
    if (::has_colors()) {
      ::start_color();
      ::use_default_colors();
      ::init_pair(kAlarmPair, COLOR_RED, -1);
    }
  }
  [[nodiscard]] static chtype attributes_of(TopStyle style) {
    switch (style) {
      case TopStyle::kPlain:
        return A_NORMAL;
      case TopStyle::kTitle:
        return A_BOLD;
      case TopStyle::kPicked:
        return A_REVERSE;
      case TopStyle::kAlarm:
        return A_BOLD | static_cast<chtype>(COLOR_PAIR(kAlarmPair));
      case TopStyle::kFaint:
        return A_DIM;
    }
    return A_NORMAL;
  }
};

// Asks, and connects again when the daemon has gone.
class Questions {
 public:
  Questions(const std::vector<std::string>& sockets, const ipc::ControlRequest& request, Connection connection)
      : sockets_(&sockets), line_(ipc::to_line(request)), connection_(std::move(connection)) {}

  void ask(TopData& data) {
    auto answer = ask_once();
    if (!answer) {
      connection_.reset();
      data.failure = answer.error().text() + "; trying again";
      return;
    }
    data.failure.clear();
    data.earlier = std::exchange(data.now, std::move(*answer));
  }

 private:
  [[nodiscard]] Result<Json> ask_once() {
    if (!connection_) {
      auto opened = Connection::open(*sockets_);
      if (!opened) return failure("the daemon is gone", std::move(opened.error()));
      connection_ = std::move(*opened);
    }
    auto line = connection_->ask(line_, kTopPatience);
    if (!line) return failure(std::move(line.error()));
    Json answer = Json::parse(*line, nullptr, false);
    if (!is_set(answer, "ok")) {
      const std::string message = text_of(member(answer, "error"), "message");
      return failure(message.empty() ? "the daemon's answer is not understood" : message);
    }
    return std::move(answer["result"]);
  }

  const std::vector<std::string>* sockets_;
  std::string line_;
  std::optional<Connection> connection_;
};

enum class KeyWants : std::uint8_t { kNothing, kEnd };

KeyWants obey(int key, const TopData& data, TopView& view) {
  constexpr int kControlC = 3;  // when the terminal does not make a signal of it
  constexpr int kPage = 10;
  switch (key) {
    case 'q':
    case 'Q':
    case kControlC:
      return KeyWants::kEnd;
    case 's':
      view.sort = next(view.sort);
      break;
    case 'r':
      view.reversed = !view.reversed;
      break;
    case ' ':
      view.holds = !view.holds;
      break;
    case KEY_UP:
    case 'k':
      view.picked_pid = neighbour(data, view, -1);
      break;
    case KEY_DOWN:
    case 'j':
      view.picked_pid = neighbour(data, view, 1);
      break;
    case KEY_PPAGE:
      view.picked_pid = neighbour(data, view, -kPage);
      break;
    case KEY_NPAGE:
      view.picked_pid = neighbour(data, view, kPage);
      break;
    case KEY_RESIZE:
      ::clear();  // terminals move what they show when their size changes
      break;
    default:
      break;
  }
  return KeyWants::kNothing;
}

}  // namespace

Result<void> run_top(const std::vector<std::string>& sockets, const ipc::ControlRequest& request,
                     std::chrono::milliseconds interval) {
  auto connection = Connection::open(sockets);
  if (!connection) return failure(std::move(connection.error()));
  auto terminal = Terminal::open();
  if (!terminal) return failure(std::move(terminal.error()));
  Questions questions{sockets, request, std::move(*connection)};
  TopData data;
  TopView view;
  os::TimePoint due = os::now();
  while (true) {
    if (os::now() >= due) {
      if (!view.holds) questions.ask(data);
      // The first rates come soon.
      constexpr std::chrono::milliseconds kFirst{300};
      due = os::now() + (data.earlier ? interval : std::min(interval, kFirst));
    }
    view.lines = Terminal::lines();
    view.columns = Terminal::columns();
    Terminal::draw(top_screen(data, view));
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - os::now());
    const int key = Terminal::key(std::max(left, std::chrono::milliseconds{0}));
    if (key != ERR && obey(key, data, view) == KeyWants::kEnd) return {};
  }
}

}  // namespace prong::ctl
