// Several objectives: non-dominated fronts and hypervolumes. Pure arithmetic; all values are to be minimised.
#pragma once

#include <vector>

namespace regatta {

/// One value per objective, each the less the better.
using Losses = std::vector<double>;

/// At no objective worse, at one better.
bool dominates(const Losses& a, const Losses& b);

/// The front of each point, from 1: that of the points that no point dominates, then of those that only points of the
/// first dominate, and so on. Equal points share a front. @param points  finite, all of one length
std::vector<int> fronts_of(const std::vector<Losses>& points);

/// Volume that the points dominate, bounded by the reference; points that do not reach it add nothing.
double hypervolume(const std::vector<Losses>& points, const Losses& reference);

/// What each point adds to the hypervolume of all: what only it dominates. 0 for points that stand twice.
std::vector<double> hypervolume_contributions(const std::vector<Losses>& points, const Losses& reference);

}  // namespace regatta
