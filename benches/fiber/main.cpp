// The workloads of the comparison with Boost.Fiber: one process, one workload, one line of JSON.
//
//     PROGRAM WORKLOAD PROCS INTERVAL_MS SIZE
//     PROGRAM version
#include "harness.hpp"

#include <boost/version.hpp>

#include <algorithm>
#include <mutex>

namespace {

unsigned long number(const char* text, unsigned long least) {
    char* end = nullptr;
    const unsigned long value = std::strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value < least) {
        fail(2, std::string("\"") + text + "\" is no number from " + std::to_string(least) + " on");
    }
    return value;
}

Answer play(const std::string& workload, const Job& job) {
    bool known = true;
    Answer answer = talk(workload, job, known);
    if (!known) {
        known = true;
        answer = crowd(workload, job, known);
    }
    if (!known) fail(2, "Boost.Fiber does not do \"" + workload + "\"");
    return answer;
}

void print(const Answer& answer) {
    const char* before = "{";
    for (const auto& [name, value] : answer) {
        std::printf("%s\"%s\":%.6f", before, name.c_str(), value);
        before = ",";
    }
    std::printf("}\n");
    std::fflush(stdout);
}

// On one thread, or on several that steal from each other; all of them must be there before the
// first fiber is.
void run(const std::string& workload, const Job& job) {
    if (job.procs == 1) {
        print(play(workload, job));
        return;
    }
    boost::fibers::mutex lock;
    boost::fibers::condition_variable_any over;
    bool is_over = false;
    std::vector<std::thread> threads;
    for (unsigned index = 1; index < job.procs; ++index) {
        threads.emplace_back([&] {
            boost::fibers::use_scheduling_algorithm<boost::fibers::algo::work_stealing>(job.procs, true);
            std::unique_lock<boost::fibers::mutex> held(lock);
            over.wait(held, [&] { return is_over; });
        });
    }
    boost::fibers::use_scheduling_algorithm<boost::fibers::algo::work_stealing>(job.procs, true);
    print(play(workload, job));
    {
        std::unique_lock<boost::fibers::mutex> held(lock);
        is_over = true;
    }
    over.notify_all();
    for (auto& thread : threads) thread.join();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::string(argv[1]) == "version") {
        std::printf("Boost %d.%d, g++ %s\n", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, __VERSION__);
        return 0;
    }
    if (argc != 5) fail(2, "expected WORKLOAD PROCS INTERVAL_MS SIZE, or version");
    const Job job{
        unsigned(number(argv[2], 1)),
        std::chrono::milliseconds(number(argv[3], 1)),
        number(argv[4], 0),
    };
    try {
        run(argv[1], job);
    } catch (const std::exception& error) {
        fail(1, error.what());
    }
    // What threads still look at after their end is not worth a wait.
    std::_Exit(0);
}
