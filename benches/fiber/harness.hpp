// What every workload needs: a clock, an answer, a check, fibers on so many threads.
#pragma once

#include <boost/fiber/all.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Nanos = std::chrono::nanoseconds;

struct Job {
    unsigned procs;
    Nanos interval;
    std::size_t size;
};

using Answer = std::vector<std::pair<std::string, double>>;

[[noreturn]] inline void fail(int status, const std::string& why) {
    std::fprintf(stderr, "%s\n", why.c_str());
    std::_Exit(status);
}

inline void check(bool holds, const char* what) {
    if (!holds) fail(1, what);
}

inline Nanos since(Time start) { return Clock::now() - start; }

// Fills the interval: run does so many operations and says how long they took. Looking for the
// number that fills it is the warm-up.
inline Answer paced(const Job& job, const std::function<Nanos(std::uint64_t)>& run) {
    const Nanos trial = job.interval / 4;
    std::uint64_t count = 1, all = 1;
    Nanos elapsed = run(count);
    while (elapsed < trial && count < (std::uint64_t{1} << 34)) {
        count *= elapsed < trial / 16 ? 8 : 2;
        all += count;
        elapsed = run(count);
    }
    const double fill = double(job.interval.count()) / double(std::max<Nanos::rep>(elapsed.count(), 1));
    count = std::max<std::uint64_t>(std::uint64_t(double(count) * fill), 1);
    all += count;
    elapsed = run(count);
    return {{"ns", double(elapsed.count()) / double(count)}, {"ops", double(all)}};
}

// Once to warm up and once that counts, of so many operations.
inline Answer once(std::uint64_t operations, const std::function<Nanos()>& run) {
    run();
    return {{"ns", double(run().count()) / double(operations)}};
}

// A stack for each fiber, of a size that crowds can have. It is mapped by malloc, without a guard.
inline boost::fibers::fixedsize_stack stack() { return boost::fibers::fixedsize_stack(16 << 10); }

template <typename F> boost::fibers::fiber spawn(F f) {
    return boost::fibers::fiber(std::allocator_arg, stack(), std::move(f));
}

// The time from the start, when all are there, until the last of them is done.
inline Nanos race(const std::vector<std::function<void()>>& parties) {
    boost::fibers::barrier gate(parties.size() + 1);
    std::vector<boost::fibers::fiber> fibers;
    for (const auto& party : parties) {
        fibers.push_back(spawn([&gate, &party] {
            gate.wait();
            party();
        }));
    }
    gate.wait();
    const Time start = Clock::now();
    for (auto& fiber : fibers) fiber.join();
    return since(start);
}

Answer talk(const std::string& workload, const Job& job, bool& known);
Answer crowd(const std::string& workload, const Job& job, bool& known);
