# shellcheck shell=bash
# Baskerville (Birmingham): 4 x A100-40GB a node, 2 x 36 cores, Storage Scale, InfiniBand HDR, EL8.
# Sourced by slurm/*.sbatch through REGATTA_SITE=baskerville, and by hand before a build there:
#   . env/baskerville.sh && env/setup.sh
# Account and QoS are the user's own, so they stand on the command line (`my_baskerville` lists them):
#   REGATTA_SITE=baskerville sbatch --account=PROJECT --qos=QOS --constraint=a100_40 --cpus-per-task=36 slurm/sweep.sbatch JOB.json
# The home folder holds 20 GB: before env/setup.sh, let REGATTA_PREFIX name a folder of the project (LibTorch: 4.6 GB).
# Written from the site's documentation, not tried there; REGATTA_MODULES overrides the modules.
module purge
module load baskerville
module load bask-apps/live
# shellcheck disable=SC2086
module load ${REGATTA_MODULES:-GCC/12.2.0 OpenMPI/4.1.4-GCC-12.2.0 HDF5 CMake Ninja}
