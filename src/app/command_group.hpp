// A command that consists of subcommands: `regatta convert list`.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/command.hpp"
#include "regatta/base/text.hpp"

namespace regatta::app {

class CommandGroup final : public Command {
 public:
  void add(const char* name, const char* summary, std::unique_ptr<Command> command) {
    parts_.push_back({name, summary, std::move(command), nullptr});
  }

  void declare(Arguments& app) override {
    for (Part& part : parts_) {
      part.arguments = app.add_subcommand(part.name, part.summary);
      part.command->declare(*part.arguments);
    }
  }

  ExitCode run() override {
    std::vector<std::string> names;
    for (const Part& part : parts_) {
      if (part.arguments->parsed()) {
        return part.command->run();
      }
      names.emplace_back(part.name);
    }
    throw ConfigError(str("which subcommand? have: ", join(names, ", ")));
  }

 private:
  struct Part {
    const char* name;
    const char* summary;
    std::unique_ptr<Command> command;
    Arguments* arguments;  ///< not owned
  };

  std::vector<Part> parts_;
};

}  // namespace regatta::app
