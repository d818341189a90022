#!/bin/sh
# A compiled program, cached by the command line: no Python is written, and the program knows nothing of entropic.
#
# Start it twice: the first time three points are solved, the second time none. Change solver.c and start it again: a
# program that has been compiled anew, differently, is another one, and solves all points.
#
# Needs a C compiler, and the command line: pip install "entropic[cli]"
set -eu
source=$(cd "$(dirname "$0")" && pwd)/solver.c
mkdir -p runs_solver && cd runs_solver
${CC:-cc} -O2 -o solver "$source"

for n in 11 21 41; do
    entropic run -p n=$n -p steps=2000 -p dt=0.0002 --suffix .csv -- \
        ./solver --n {n} --steps {steps} --dt {dt} --out {result_path}
done

# A failing program is not cached, and its exit status is passed on: here 3, as this step is too large for 101 points.
entropic run -p n=101 -p steps=2000 -p dt=0.0002 --suffix .csv -- \
    ./solver --n {n} --steps {steps} --dt {dt} --out {result_path} || echo "exit status $?"

entropic ls --varying
echo "in the middle of 41 points: $(sed -n 21p "$(entropic path n=41)")"
