# shellcheck shell=bash
# Baskerville (Birmingham): 4 x A100-40GB a node, 2 x 36 cores, Storage Scale, InfiniBand HDR, EL8.
#   regatta submit JOB.json --site baskerville --account PROJECT --qos QOS --time 12:00:00      (`my_baskerville` lists both)
# By hand before a build there: . env/baskerville.sh && env/setup.sh
#
#REGATTA gpus_per_node=4
#REGATTA cpus_per_gpu=36
#REGATTA constraint=a100_40
#REGATTA needs=account,qos
#
# The home folder holds 20 GB: before env/setup.sh, let REGATTA_PREFIX name a folder of the project (LibTorch: 4.6 GB).
# Written from the site's documentation, not tried there: the longest time limit, and whether jobs may requeue
# themselves, are not in it. REGATTA_MODULES overrides the modules.
export REGATTA_SITE="${REGATTA_SITE:-$(basename "${BASH_SOURCE[0]}" .sh)}"   # env/setup.sh takes the form of LibTorch for GPUs
module purge
module load baskerville
module load bask-apps/live
# shellcheck disable=SC2086
module load ${REGATTA_MODULES:-GCC/12.2.0 OpenMPI/4.1.4-GCC-12.2.0 HDF5 CMake Ninja}
