// Which parts of a step run by our kernels, which by cuDNN or cuBLAS in bf16 and which by reference, and the sentence
// that says so.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "regatta/config/json.hpp"
#include "regatta/nn/parameters.hpp"

namespace regatta {

enum class Form {
  kKernel,    ///< one of our kernels
  kCudnn,     ///< a convolution by cuDNN in bf16
  kCublas,    ///< a linear layer by cuBLAS in bf16
  kReference  ///< LibTorch's operators in float32
};

/// Parts of one name and form.
struct PartForm {
  std::string name;  ///< "convolution 64 up + 2 to 64", "NCC with masks"
  Form form = Form::kReference;
  std::int64_t count = 0;
};

/// Collects the parts that run in this thread while it lives: layers, warps, losses, the optimiser. A part of another
/// part, as the warps of a Dice loss are, is none of its own. Not nested.
class FormRecord {
 public:
  FormRecord();
  ~FormRecord();
  FormRecord(const FormRecord&) = delete;
  FormRecord& operator=(const FormRecord&) = delete;

  /// In the order in which they ran first.
  const std::vector<PartForm>& parts() const { return parts_; }

 private:
  std::vector<PartForm> parts_;
};

/// Said where a part runs: noted while a `FormRecord` of its thread lives, else it costs a look at a variable. Lives as
/// long as the part runs; parts that begin meanwhile belong to it.
class StepPart {
 public:
  StepPart(Form form, const char* name) {
    if (recording()) {
      begin({name, form});
    }
  }

  /// @param tell  gives a PartForm, its count of no matter; called only where the part is noted
  template <class Tell>
  explicit StepPart(const Tell& tell) {
    if (recording()) {
      begin(tell());
    }
  }

  ~StepPart() {
    if (noted_) {
      end();
    }
  }

  StepPart(const StepPart&) = delete;
  StepPart& operator=(const StepPart&) = delete;

 private:
  static bool recording();
  void begin(PartForm part);
  void end();

  bool noted_ = false;
};

/// A loss's own word for itself, and its form: its part begins, by reference and with the recipe's name, where the
/// objective asks for its value.
void name_part(Form form, const char* name);

/// While it lives, nothing is noted: work that is done once more for a backward pass.
class UnnotedParts {
 public:
  UnnotedParts();
  ~UnnotedParts();
  UnnotedParts(const UnnotedParts&) = delete;
  UnnotedParts& operator=(const UnnotedParts&) = delete;
};

/// "fast, 3 of 21 parts by reference: NCC with masks, warp (2)"; "fast, all 21 parts"; "reference". Convolutions by
/// cuDNN and linear layers by cuBLAS are counted.
std::string forms_text(Backend backend, const std::vector<PartForm>& parts);

/// [{"name": "warp", "form": "kernel", "count": 1}, ...]; forms: kernel, cudnn, cublas, reference
Json forms_json(const std::vector<PartForm>& parts);

}  // namespace regatta
