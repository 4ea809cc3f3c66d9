// Columns of text for a terminal.
#pragma once

#include <string>
#include <vector>

namespace prong::ctl {

struct Column {
  std::string title;
  bool right = false;  // numbers
};

// Rows as wide as their widest cell, two spaces between columns, none at the end of a line.
[[nodiscard]] std::string to_table(const std::vector<Column>& columns,
                                   const std::vector<std::vector<std::string>>& rows);

}  // namespace prong::ctl
