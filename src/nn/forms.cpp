#include "regatta/nn/forms.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

thread_local std::vector<PartForm>* record = nullptr;
thread_local PartForm running;       ///< the part that is open
thread_local bool is_open = false;   ///< whether there is one
thread_local int unnoted_depth = 0;  ///< of UnnotedParts

const char* form_name(Form form) {
  switch (form) {
    case Form::kKernel: return "kernel";
    case Form::kCudnn: return "cudnn";
    case Form::kCublas: return "cublas";
    case Form::kReference: break;
  }
  return "reference";
}

std::int64_t count_of(const std::vector<PartForm>& parts, Form form) {
  std::int64_t count = 0;
  for (const PartForm& part : parts) {
    count += part.form == form ? part.count : 0;
  }
  return count;
}

}  // namespace

FormRecord::FormRecord() {
  REGATTA_REQUIRE(record == nullptr, BugError, "forms are being recorded already");
  record = &parts_;
}

FormRecord::~FormRecord() {
  record = nullptr;
}

bool StepPart::recording() {
  return record != nullptr && !is_open && unnoted_depth == 0;
}

void StepPart::begin(PartForm part) {
  running = std::move(part);
  is_open = noted_ = true;
}

void StepPart::end() {
  is_open = false;
  if (record == nullptr) {
    return;
  }
  const auto found = std::find_if(record->begin(), record->end(), [](const PartForm& part) {
    return part.name == running.name && part.form == running.form;
  });
  if (found == record->end()) {
    record->push_back(running);
    record->back().count = 1;
  } else {
    ++found->count;
  }
}

void name_part(Form form, const char* name) {
  if (is_open) {
    running.name = name;
    running.form = form;
  }
}

UnnotedParts::UnnotedParts() {
  ++unnoted_depth;
}

UnnotedParts::~UnnotedParts() {
  --unnoted_depth;
}

std::string forms_text(Backend backend, const std::vector<PartForm>& parts) {
  if (backend == Backend::kReference) {
    return "reference";
  }
  const std::int64_t by_reference = count_of(parts, Form::kReference);
  const std::int64_t by_cudnn = count_of(parts, Form::kCudnn);
  const std::int64_t by_cublas = count_of(parts, Form::kCublas);
  const std::int64_t all = by_reference + by_cudnn + by_cublas + count_of(parts, Form::kKernel);
  std::string text = by_reference == 0 ? str("fast, all ", all, " parts") : str("fast, ", by_reference, " of ", all);
  if (by_reference > 0) {
    std::vector<std::string> names;
    for (const PartForm& part : parts) {
      if (part.form == Form::kReference) {
        names.push_back(part.count == 1 ? part.name : str(part.name, " (", part.count, ")"));
      }
    }
    text += str(" parts by reference: ", join(names, ", "));
  }
  std::vector<std::string> by_libraries;
  if (by_cudnn > 0) {
    by_libraries.push_back(str(by_cudnn, by_cudnn == 1 ? " convolution" : " convolutions", " by cuDNN"));
  }
  if (by_cublas > 0) {
    by_libraries.push_back(str(by_cublas, by_cublas == 1 ? " linear layer" : " linear layers", " by cuBLAS"));
  }
  return by_libraries.empty() ? text : str(text, "; ", join(by_libraries, " and "), " in bf16");
}

Json forms_json(const std::vector<PartForm>& parts) {
  Json list = Json::array();
  for (const PartForm& part : parts) {
    list.push_back({{"name", part.name}, {"form", form_name(part.form)}, {"count", part.count}});
  }
  return list;
}

}  // namespace regatta
