module ipop/bench/load

go 1.22
