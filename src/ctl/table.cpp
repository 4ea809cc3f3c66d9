#include "ctl/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace prong::ctl {

std::string to_table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows,
                     const std::vector<std::string>& below) {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::size_t width = columns[i].title.size();
    for (const auto& row : rows) width = std::max(width, row[i].size());
    widths.push_back(width);
  }
  std::string text;
  const auto add_row = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const std::string& cell = cell_of(i);
      const std::string blank(widths[i] - cell.size(), ' ');
      line += (i > 0 ? "  " : "") + (columns[i].right ? blank + cell : cell + blank);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  };
  add_row([&](std::size_t i) -> const std::string& { return columns[i].title; });
  for (std::size_t row = 0; row < rows.size(); ++row) {
    add_row([&](std::size_t i) -> const std::string& { return rows[row][i]; });
    if (row < below.size()) text += below[row];
  }
  return text;
}

}  // namespace prong::ctl
