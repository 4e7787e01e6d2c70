# shellcheck shell=bash
# A cluster's profile, to copy: cp env/generic.sh env/MYSITE.sh, then: regatta submit JOB.json --site MYSITE
# `regatta submit` reads the lines that begin with #REGATTA and refuses unknown keys; what is left out has the value
# shown here. Options on its command line go before. The jobs source this file, so modules stand at its end.

# GPUs of a node, and the processors that go with one
#REGATTA gpus_per_node=4
#REGATTA cpus_per_gpu=8
# --gpus-per-node, or --gres on clusters that want --gres=gpu:4
#REGATTA gpu_option=--gpus-per-node
# no: jobs may not put themselves back into the queue; regatta submit --chain K
#REGATTA requeue=yes
# `srun --mpi=list` shows what there is
#REGATTA mpi=pmix
# Seconds before the time limit at which trials save: well above what the largest model takes to write a checkpoint
#REGATTA signal_s=300

# These have no value unless given; take "# " away in front of those that you need.
# Gives a100:4
# #REGATTA gpu_type=a100
# Defaults of the options of the same names
# #REGATTA partition=gpu
# #REGATTA constraint=a100_80
# #REGATTA mem=400G
# Options without which no job is accepted, of: account, qos, partition, constraint, mem
# #REGATTA needs=account,qos
# Longest time limit
# #REGATTA max_time=24:00:00

export REGATTA_SITE="${REGATTA_SITE:-$(basename "${BASH_SOURCE[0]}" .sh)}"   # env/setup.sh takes the form of LibTorch for GPUs

# module purge
# module load GCC OpenMPI HDF5
