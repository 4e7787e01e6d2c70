// The table of samplers, from samplers/samplers.def.
#include <algorithm>

#include "regatta/base/error.hpp"
#include "regatta/sweep/space.hpp"

namespace regatta {

#define REGATTA_SAMPLER(name, help) std::unique_ptr<Sampler> make_##name##_sampler();
#include "sweep/samplers/samplers.def"
#undef REGATTA_SAMPLER

const std::vector<SamplerRow>& sampler_rows() {
#define REGATTA_SAMPLER(name, help) {#name, help, make_##name##_sampler},
  static const std::vector<SamplerRow> rows = {
#include "sweep/samplers/samplers.def"
  };
#undef REGATTA_SAMPLER
  return rows;
}

std::unique_ptr<Sampler> make_sampler(const std::string& name) {
  const auto& rows = sampler_rows();
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&name](const SamplerRow& each) { return name == each.name; });
  if (row != rows.end()) {
    return row->make();
  }
  std::vector<std::string> names;
  for (const SamplerRow& each : rows) {
    names.emplace_back(each.name);
  }
  throw ConfigError(str("/sampler: unknown sampler '", one_line(name, 60), "', have: ", join(names, ", ")));
}

}  // namespace regatta
