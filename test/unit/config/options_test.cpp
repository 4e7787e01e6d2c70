#include "regatta/base/error.hpp"
#include "regatta/config/options.hpp"
#include "support/catch.hpp"

using namespace regatta;

namespace {

struct Inner {
  double lr = 1e-4;
  std::string kind = "poly";
  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("lr", s.lr, "step size", between(1e-8, 1.0));
    v("kind", s.kind, "schedule", one_of({"poly", "constant"}));
  }
};

struct Outer {
  int epochs = 5;
  bool flip = false;
  std::vector<double> spacing_mm = {1, 1, 1};
  std::string archive;
  Inner optim;
  std::map<std::string, Inner> losses;
  Json extra = Json::object();
  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("epochs", s.epochs, "passes", between(1, 100000).not_identity());
    v("flip", s.flip, "mirror");
    v("spacing_mm", s.spacing_mm, "spacing", between(0.01, 100));
    v("archive", s.archive, "path", not_identity());
    v("optim", s.optim, "");
    v("losses", s.losses, "");
    v("extra", s.extra, "passed on");
  }
};

Outer read(const std::string& text) {
  Outer options;
  read_options(parse_json(text, "test"), options);
  return options;
}

}  // namespace

TEST_CASE("options read what is there and keep defaults elsewhere") {
  const Outer options = read(R"({"epochs": 7, "optim": {"lr": 0.5}, "losses": {"ncc": {}, "grad": {"lr": 0.1}}})");
  CHECK(options.epochs == 7);
  CHECK(options.optim.lr == 0.5);
  CHECK(options.optim.kind == "poly");
  CHECK(options.losses.at("grad").lr == 0.1);
}

TEST_CASE("what is written reads back the same") {
  const Outer options = read(R"({"spacing_mm": [1, 1.5, 2], "losses": {"ncc": {"lr": 0.1}}, "extra": {"a": [1]}})");
  const Json written = write_options(options);
  Outer again;
  read_options(written, again);
  CHECK(write_options(again) == written);
}

TEST_CASE("unknown keys, wrong types and values out of range fail with the pointer and what is allowed") {
  CHECK_THROWS_WITH(read(R"({"optim": {"learning_rate": 1}})"), "/optim/learning_rate: unknown key, have: lr, kind");
  CHECK_THROWS_WITH(read(R"({"epochs": 3.9})"), "/epochs: expected an integer, got a number 3.9");
  CHECK_THROWS_WITH(read(R"({"epochs": "3"})"), "/epochs: expected an integer, got a string \"3\"");
  CHECK_THROWS_WITH(read(R"({"epochs": 0})"), "/epochs: 0 is outside 1..100000");
  CHECK_THROWS_WITH(read(R"({"epochs": 18446744073709551615})"), Catch::Contains("does not fit into 64 bits"));
  CHECK_THROWS_WITH(read(R"({"optim": {"lr": 2}})"), "/optim/lr: 2 is outside 1e-08..1");
  CHECK_THROWS_WITH(read(R"({"optim": {"kind": "cosine"}})"), "/optim/kind: unknown 'cosine', have: poly, constant");
  CHECK_THROWS_WITH(read(R"({"flip": 1})"), "/flip: expected true or false, got an integer 1");
  CHECK_THROWS_WITH(read(R"({"spacing_mm": [1, 0, 1]})"), "/spacing_mm/1: 0 is outside 0.01..100");
  CHECK_THROWS_WITH(read(R"({"spacing_mm": 1})"), "/spacing_mm: expected a list, got an integer 1");
  CHECK_THROWS_WITH(read(R"({"losses": {"a/b": {"x": 1}}})"), "/losses/a~1b/x: unknown key, have: lr, kind");
  CHECK_THROWS_WITH(read(R"([])"), "/: expected an object, got a list []");
}

TEST_CASE("identity leaves out defaults, paths and totals") {
  CHECK(identity_of(Outer{}).empty());
  const Outer options =
      read(R"({"epochs": 9, "archive": "/x", "flip": true, "optim": {"lr": 0.5}, "losses": {"ncc": {}}})");
  CHECK(dump_canonical(identity_of(options)) == R"({"flip":true,"losses":{"ncc":{}},"optim":{"lr":0.5}})");
}

TEST_CASE("the option table lists every field once with type, default and range") {
  const auto rows = option_rows<Outer>();
  REQUIRE(rows.size() == 9);
  CHECK(rows[0].pointer == "/epochs");
  CHECK(rows[0].type == "integer");
  CHECK(rows[0].default_text == "5");
  CHECK(rows[0].allowed == "1..100000");
  CHECK(rows[7].pointer == "/losses/NAME/kind");
}
