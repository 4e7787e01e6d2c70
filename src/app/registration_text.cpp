// What a person reads of one registered pair.
#include <iostream>

#include <nlohmann/json.hpp>

#include "app/registration_output.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/text.hpp"
#include "regatta/base/text_table.hpp"

namespace regatta::app {

namespace {

double number(const Json& value) {
  return number_from_json(value, "registration.json");
}

void print_place(const Json& record) {
  const Json& place = record.at("place");
  const auto rule = place.at("rule").get<std::string>();
  std::vector<std::string> others;
  const Json overlaps = place.value("overlaps", Json::object());
  for (const auto& [name, overlap] : overlaps.items()) {
    if (name != rule) {
      others.push_back(str(name, ' ', fixed_text(number(overlap), 2)));
    }
  }
  std::cout << "moving scan's place " << rule << ": foregrounds overlap " << fixed_text(number(place.at("overlap")), 2)
            << (others.empty() ? "" : str(" (", join(others, ", "), ")")) << '\n';
  if (const Json& outside = record.at("outside"); outside.at("share").get<double>() > 0.0) {
    std::cout << "outside the moving  " << fixed_text(100.0 * outside.at("share").get<double>(), 1)
              << " % of the warped image: " << to_text(outside.at("value").get<double>()) << " there ("
              << outside.at("from").get<std::string>() << ")\n";
  }
}

void print_numbers(const Json& record) {
  const bool aligned = record.contains("affine");
  if (aligned) {
    std::cout << "affine: local correlation " << to_text(record.at("affine").at("ncc_before").get<double>()) << " -> "
              << to_text(record.at("affine").at("ncc_after").get<double>()) << '\n';
  }
  const Json metrics = record.value("metrics", Json::object());
  for (const auto& [name, value] : metrics.items()) {
    std::cout << name << (aligned ? ", aligned, " : " ") << to_text(number(value.at("before"))) << " -> "
              << (value.contains("network") ? str(to_text(number(value.at("network"))), ", refined ") : "")
              << to_text(number(value.at("after"))) << '\n';
  }
  if (record.contains("inverse")) {
    const Json& inverse = record.at("inverse");
    std::cout << "inverse, by " << (inverse.at("by") == "network" ? "the network" : "iteration") << ": residual "
              << to_text(inverse.at("mean_residual_mm").get<double>()) << " mm on average, at most "
              << to_text(inverse.at("largest_residual_mm").get<double>()) << " mm; none in "
              << inverse.at("voxels_without").get<std::int64_t>() << " of " << inverse.at("voxels").get<std::int64_t>()
              << " voxels\n";
  }
  if (record.contains("refinement")) {
    const Json& done = record.at("refinement");
    std::cout << "refined " << done.at("of").get<std::string>() << ": " << done.at("iterations").get<int>()
              << " iterations" << (done.at("converged").get<bool>() ? ", converged" : "") << ", loss "
              << to_text(done.at("loss_before").get<double>()) << " -> " << to_text(done.at("loss_after").get<double>())
              << " in " << duration_text(done.at("seconds").get<double>()) << '\n';
  }
}

}  // namespace

void print_pair(const Json& record, const PairFiles& files, double seconds) {
  print_place(record);
  print_numbers(record);
  std::cout << "network " << duration_text(record.at("network_s").get<double>()) << ", in all "
            << duration_text(seconds) << '\n';
  const auto show = [&](const char* label, const char* key, const char* more = "") {
    if (record.at("outputs").contains(key)) {
      std::cout << label << (files.output / record.at("outputs").at(key).get<std::string>()).string() << more << '\n';
    }
  };
  show("warped image        ", "warped");
  show("displacement field  ", "field");
  show("warped labels       ", "warped_labels");
  show("fixed points        ", "fixed_points", ", in the moving scan");
  show("moving points       ", "moving_points", ", in the fixed scan");
  show("inverse field       ", "inverse_field");
  show("warped fixed image  ", "inverse_warped");
  show("determinant         ", "jacobian");
  show("affine, for ANTs    ", "affine");
  show("moving scan, placed ", "moving_placed", ": the field leads to it");
  show("picture             ", "picture");
}

}  // namespace regatta::app
