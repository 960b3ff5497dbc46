module tpbox.dev/bench/load

go 1.24
