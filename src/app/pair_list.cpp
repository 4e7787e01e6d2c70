#include "app/pair_list.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"
#include "regatta/config/options.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

/// A row of the list.
struct PairRow {
  std::string name;
  std::string fixed;
  std::string moving;
  std::string fixed_labels;
  std::string moving_labels;
  std::string fixed_points;
  std::string moving_points;
  int fixed_frame = -1;
  int moving_frame = -1;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("name", s.name, "folder of the pair's results; empty: made of the files' names");
    v("fixed", s.fixed, "scan that is matched");
    v("moving", s.moving, "scan that is warped onto it");
    v("fixed_labels", s.fixed_labels, "label map of the fixed scan, compared with the warped labels");
    v("moving_labels", s.moving_labels, "label map of the moving scan, warped along with it");
    v("fixed_points", s.fixed_points, "CSV of points of the fixed scan, taken to the moving one");
    v("moving_points", s.moving_points, "CSV of points of the moving scan, taken to the fixed one");
    v("fixed_frame", s.fixed_frame, "which volume of a 4-D scan; -1: it has one", between(-1, 1e6));
    v("moving_frame", s.moving_frame, "which volume of a 4-D scan; -1: it has one", between(-1, 1e6));
  }
};

constexpr std::array kColumns = {"name",         "fixed",         "moving",      "fixed_labels", "moving_labels",
                                 "fixed_points", "moving_points", "fixed_frame", "moving_frame"};

struct PairListFile {
  Json pairs = Json::array();

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("pairs", s.pairs, "the pairs");
  }
};

/// A row, and where it stands.
struct ListedRow {
  Json row;
  std::string place;
};

/// The cells of one line; commas within quotes do not divide, "" within quotes is a quote.
std::vector<std::string> csv_cells(const std::string& line, const std::string& place) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
      out.back() += line[i++];
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (line[i] == ',' && !quoted) {
      out.emplace_back();
    } else {
      out.back() += line[i];
    }
  }
  REGATTA_REQUIRE(!quoted, ConfigError, place, ": '", one_line(line, 60), "': a quote is not closed");
  std::transform(out.begin(), out.end(), out.begin(), [](const std::string& cell) { return std::string(trim(cell)); });
  return out;
}

void require_columns(const std::vector<std::string>& head, const std::string& place) {
  std::set<std::string> seen;
  for (const std::string& name : head) {
    REGATTA_REQUIRE(std::find(kColumns.begin(), kColumns.end(), name) != kColumns.end(), ConfigError, place,
                    ": unknown column '", one_line(name, 60), "', have: ", join(kColumns, ", "));
    REGATTA_REQUIRE(seen.insert(name).second, ConfigError, place, ": column '", name, "' is there twice");
  }
  REGATTA_REQUIRE(seen.count("fixed") == 1 && seen.count("moving") == 1, ConfigError, place,
                  ": columns fixed and moving are needed, found: ", join(head, ", "));
}

/// Rows as JSON objects, so that both forms are checked alike.
std::vector<ListedRow> rows_of_csv(const std::string& text, const std::string& source) {
  std::vector<ListedRow> out;
  std::vector<std::string> head;
  int number = 0;
  for (const std::string& line : split(text, '\n')) {
    const std::string place = str(source, ": line ", ++number);
    if (trim(line).empty()) {
      continue;
    }
    const std::vector<std::string> cells = csv_cells(line, place);
    if (head.empty()) {
      head = cells;
      require_columns(head, place);
      continue;
    }
    REGATTA_REQUIRE(cells.size() == head.size(), ConfigError, place, ": '", one_line(line, 60), "': ", cells.size(),
                    " cells, ", head.size(), " expected, as the first line has");
    Json row = Json::object();
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (cells[i].empty()) {
        continue;
      }
      const bool frame = head[i].ends_with("_frame");
      row[head[i]] =
          frame ? parse_json(cells[i], str(place, ": ", head[i], " '", one_line(cells[i], 40), "'")) : Json(cells[i]);
    }
    out.push_back({std::move(row), place});
  }
  return out;
}

std::vector<ListedRow> rows_of_json(const std::string& text, const std::string& source) {
  PairListFile file;
  read_options(parse_json(text, source), file, source + ": ");
  REGATTA_REQUIRE(file.pairs.is_array(), ConfigError, source, ": /pairs: a list of pairs expected");
  std::vector<ListedRow> out;
  for (std::size_t i = 0; i < file.pairs.size(); ++i) {
    out.push_back({file.pairs[i], str(source, ": /pairs/", i)});
  }
  return out;
}

std::string stem_of_scan(const std::string& path) {
  std::string name = fs::path(path).filename().string();
  for (const char* ending : {".gz", ".nii", ".mgz", ".mgh", ".npz", ".hdr", ".img"}) {
    if (name.ends_with(ending)) {
      name.resize(name.size() - std::string_view(ending).size());
    }
  }
  return name;
}

bool is_folder_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name == one_line(name, 200);
}

PairFiles pair_of(const ListedRow& listed, const fs::path& folder, const fs::path& output) {
  PairRow row;
  read_options(listed.row, row, listed.place);
  REGATTA_REQUIRE(!row.fixed.empty() && !row.moving.empty(), ConfigError, listed.place, ": ",
                  row.fixed.empty() ? "fixed" : "moving", " is missing, both scans are needed");
  REGATTA_REQUIRE(row.fixed_labels.empty() || !row.moving_labels.empty(), ConfigError, listed.place, ": fixed_labels '",
                  one_line(row.fixed_labels, 60), "' without moving_labels: nothing to compare them with");
  if (row.name.empty()) {
    row.name = stem_of_scan(row.moving) + "_to_" + stem_of_scan(row.fixed);
  }
  REGATTA_REQUIRE(is_folder_name(row.name), ConfigError, listed.place, ": name '", one_line(row.name, 60),
                  "': a folder's name without / expected");
  const auto beside = [&](const std::string& file) { return file.empty() ? file : (folder / file).string(); };
  PairFiles out;
  out.name = row.name;
  out.fixed = beside(row.fixed);
  out.moving = beside(row.moving);
  out.fixed_labels = beside(row.fixed_labels);
  out.moving_labels = beside(row.moving_labels);
  out.fixed_points = beside(row.fixed_points);
  out.moving_points = beside(row.moving_points);
  out.fixed_frame = row.fixed_frame;
  out.moving_frame = row.moving_frame;
  out.output = output / row.name;
  out.source = listed.place;
  return out;
}

}  // namespace

std::vector<PairFiles> read_pair_list(const fs::path& path, const fs::path& output) {
  const std::string source = path.string();
  const std::string text = read_file(path);
  const std::vector<ListedRow> rows =
      path.extension() == ".csv" ? rows_of_csv(text, source) : rows_of_json(text, source);
  REGATTA_REQUIRE(!rows.empty(), ConfigError, source, ": no pairs");
  std::vector<PairFiles> out;
  std::set<std::string> names;
  for (const ListedRow& row : rows) {
    out.push_back(pair_of(row, path.parent_path(), output));
    REGATTA_REQUIRE(names.insert(out.back().name).second, ConfigError, row.place, ": name '", out.back().name,
                    "' twice: give each pair a name of its own");
  }
  return out;
}

std::vector<PairFiles> archived_pairs(const Archive& archive, const std::string& split, const fs::path& output) {
  const std::string path = archive.path().string();
  std::vector<PairFiles> out;
  std::set<std::string> names;
  for (const ArchivePair& pair : archive.pairs(split)) {
    const std::string& fixed = archive.subjects()[static_cast<std::size_t>(pair.fixed)].id;
    const std::string& moving = archive.subjects()[static_cast<std::size_t>(pair.moving)].id;
    PairFiles files;
    files.name = str(moving, "_to_", fixed);
    std::replace(files.name.begin(), files.name.end(), '/', '_');
    REGATTA_REQUIRE(names.insert(files.name).second, ConfigError, path, ": split '", split, "': pair ", files.name,
                    " is there twice");
    files.fixed = str(path, ':', fixed);
    files.moving = str(path, ':', moving);
    files.output = output / files.name;
    files.source = str(path, ": split ", split);
    files.archived = pair;
    out.push_back(std::move(files));
  }
  REGATTA_REQUIRE(!out.empty(), ConfigError, path, ": split '", one_line(split, 60),
                  "' has no pairs, have: ", join(archive.splits(), ", "));
  return out;
}

}  // namespace regatta::app
