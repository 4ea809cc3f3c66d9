// Columns of text for a terminal.
#pragma once

#include <string>
#include <vector>

namespace prong::ctl {

struct Column {
  std::string title;
  bool right = false;  // numbers
};

// Rows as wide as their widest cell, two spaces between columns, none at the end of a line. `below`: whole lines, with
// their line ends, that follow the row of the same index; as many as rows, or none.
[[nodiscard]] std::string to_table(const std::vector<Column>& columns,
                                   const std::vector<std::vector<std::string>>& rows,
                                   const std::vector<std::string>& below = {});

}  // namespace prong::ctl
