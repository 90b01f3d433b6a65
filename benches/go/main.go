// The workloads of the comparison in Go: one process, one workload, one line of JSON.
//
//	PROGRAM WORKLOAD PROCS INTERVAL_MS SIZE
//	PROGRAM version
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

// What to do; what size means depends on the workload.
type job struct {
	procs    int
	interval time.Duration
	size     int
}

// Numbers with their names.
type answer map[string]float64

var workloads = map[string]func(job) (answer, error){
	"yield-2": paced(func(n int) time.Duration { return yields(2, n) }),
	"yield-200": func(j job) (answer, error) {
		return once(200*j.size, func() time.Duration { return yields(200, 200*j.size) })
	},
	"pingpong":        paced(pingpong),
	"stream":          paced(stream),
	"mpmc":            paced(mpmc),
	"select":          paced(selectWait),
	"spawn-join":      paced(spawnJoins),
	"spawn-100k":      func(j job) (answer, error) { return once(j.size, func() time.Duration { return spawnAll(j.size) }) },
	"chained-spawn":   paced(chain),
	"skynet":          skynet,
	"sieve":           sieve,
	"mutex":           paced(mutexAlone),
	"mutex-contended": paced(mutexContended),
	"sleep-10k":       sleepers,
	"parked":          parked,
	"deep-recursion":  deepRecursion,
	"echo":            echo,
	"http":            serveHTTP,
	"idle":            idle,
	"hogs":            hogs,
	"blocked":         blocked,
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "version" {
		fmt.Printf("%s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return
	}
	if len(os.Args) != 5 {
		fail(2, "expected WORKLOAD PROCS INTERVAL_MS SIZE, or version")
	}
	run, known := workloads[os.Args[1]]
	if !known {
		fail(2, fmt.Sprintf("there is no workload %q", os.Args[1]))
	}
	j := job{
		procs:    number(os.Args[2], 1),
		interval: time.Duration(number(os.Args[3], 1)) * time.Millisecond,
		size:     number(os.Args[4], 0),
	}
	runtime.GOMAXPROCS(j.procs)
	found, err := run(j)
	if err != nil {
		fail(1, err.Error())
	}
	line, err := json.Marshal(found)
	if err != nil {
		fail(1, err.Error())
	}
	fmt.Println(string(line))
}

func number(text string, least int) int {
	value, err := strconv.Atoi(text)
	if err != nil || value < least {
		fail(2, fmt.Sprintf("%q is no number from %d on", text, least))
	}
	return value
}

func fail(status int, why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(status)
}

// Ends the process if a message is not what it has to be.
func check(holds bool, what string) {
	if !holds {
		fail(1, what)
	}
}

// Fills the interval: run does so many operations and says how long they took. Looking for the
// number that fills it is the warm-up.
func paced(run func(n int) time.Duration) func(job) (answer, error) {
	const most = 1 << 34
	return func(j job) (answer, error) {
		trial := j.interval / 4
		n, all := 1, 1
		elapsed := run(n)
		for elapsed < trial && n < most {
			if elapsed < trial/16 {
				n *= 8
			} else {
				n *= 2
			}
			all += n
			elapsed = run(n)
		}
		n = max(1, int(float64(n)*float64(j.interval)/float64(max(elapsed, 1))))
		all += n
		elapsed = run(n)
		return answer{"ns": float64(elapsed) / float64(n), "ops": float64(all)}, nil
	}
}

// Once to warm up and once that counts, of so many operations.
func once(operations int, run func() time.Duration) (answer, error) {
	run()
	return answer{"ns": float64(run()) / float64(operations)}, nil
}
