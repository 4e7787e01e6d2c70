#include "unit/train/group_scene.hpp"

#include <exception>
#include <thread>

#include "regatta/train/run_folder.hpp"
#include "train/comm.hpp"

namespace regatta::test {

GroupEnd train_group(const std::filesystem::path& folder, const Recipe& recipe, int members,
                     const std::function<bool()>& leave) {
  RecipeResolver settler;
  const TrialFiles files{folder};
  settle_recipe(files, recipe, settler, Existing::kContinue);
  const int attempt = next_attempt(files);
  const std::string rendezvous = new_rendezvous();
  GroupEnd end;
  end.outcomes.resize(static_cast<std::size_t>(members));
  end.errors.resize(static_cast<std::size_t>(members));
  std::vector<std::jthread> team;
  for (int rank = 0; rank < members; ++rank) {
    team.emplace_back([&, rank] {
      const auto place = static_cast<std::size_t>(rank);
      try {
        Recorder recorder;
        recorder.leave = rank == 0 ? leave : std::function<bool()>();
        RecipeResolver resolver;
        TrainSetup setup;
        setup.files = files;
        setup.resolved = resolver.resolve(recipe_from_json(read_json(files.recipe()), "settled"));
        setup.attempt = attempt;
        const auto comm = meet_over_sockets({rendezvous, rank, members, 60.0, 60.0});
        setup.comm = comm.get();
        const Archive& archive = resolver.archive(recipe.data.archive);
        end.outcomes[place] = Trainer(std::move(setup), recorder).run(archive);
        if (rank == 0) {
          end.start = recorder.start;
        }
      } catch (const std::exception& error) {
        end.errors[place] = error.what();
      }
    });
  }
  team.clear();  // waits
  return end;
}

}  // namespace regatta::test
