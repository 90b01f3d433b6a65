module gopark-benches-go

go 1.25
